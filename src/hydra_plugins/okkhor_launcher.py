"""The launcher plug-in that Hydra discovers; what it does is in okkhor.launching.sweeping.

Hydra imports this at every start: what is heavy comes in when a sweep begins.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from okkhor.launching.sweeping import SweepLauncher

ConfigStore.instance().store(
    group="hydra/launcher",
    name="okkhor",
    node={"_target_": "hydra_plugins.okkhor_launcher.OkkhorLauncher"},
    provider="okkhor",
)


class OkkhorLauncher(Launcher):
    """Hands the jobs of a sweep to the place that `launcher=` names; `sweep` is what the sweepers here use."""

    sweep: "SweepLauncher"

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from okkhor.launching.sweeping import SweepLauncher

        self.sweep = SweepLauncher(hydra_context.config_loader, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Hydra's own interface, for sweepers that others wrote: all jobs run, then the failures are raised."""
        from okkhor.errors import JobFailedError

        numbered = [(initial_job_idx + i, list(words)) for i, words in enumerate(job_overrides)]
        returns = []
        for outcome in sorted(self.sweep.stream(numbered), key=lambda outcome: outcome.job.number):
            done = outcome.objective is not None
            result = JobReturn(
                overrides=outcome.job.overrides, status=JobStatus.COMPLETED if done else JobStatus.FAILED
            )
            result.return_value = outcome.objective if done else JobFailedError(outcome.message)
            returns.append(result)
        return returns
