"""The sweepers that Hydra discovers: okkhor_grid, okkhor_optuna, okkhor_wandb; what they do is in okkhor.launching.

Hydra imports this at every start: what is heavy comes in when a sweep begins.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from okkhor.launching.sweeping import SweepLauncher


class OkkhorSweeper(Sweeper):
    """Hands a sweep's words to one of the sweeps in okkhor.launching, with the launcher that runs its jobs."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """arguments: the words typed, but those for Hydra itself."""
        from okkhor.errors import InputError

        sweep = getattr(self.launcher, "sweep", None)
        if sweep is None:
            raise InputError("hydra/launcher: the sweepers here go with okkhor; say where jobs run by launcher=")
        return self.run(sweep, arguments)

    @abstractmethod
    def run(self, launcher: "SweepLauncher", typed: list[str]) -> Any: ...


class GridSweeper(OkkhorSweeper):
    """Every combination."""

    def run(self, launcher: "SweepLauncher", typed: list[str]) -> Any:
        from okkhor.launching.grid import run_grid

        return run_grid(launcher, typed)


class OptunaSweeper(OkkhorSweeper):
    """What Optuna proposes."""

    def run(self, launcher: "SweepLauncher", typed: list[str]) -> Any:
        from okkhor.launching.study import run_study

        return run_study(launcher, typed)


class WandbSweeper(OkkhorSweeper):
    """Nothing is run here: Weights & Biases has it run by its agents."""

    def run(self, launcher: "SweepLauncher", typed: list[str]) -> Any:
        from okkhor.launching.wandb_sweep import write_sweep

        return write_sweep(launcher, typed)


for sweeper in (GridSweeper, OptunaSweeper, WandbSweeper):
    ConfigStore.instance().store(
        group="hydra/sweeper",
        name=f"okkhor_{sweeper.__name__.removesuffix('Sweeper').lower()}",
        node={"_target_": f"{__name__}.{sweeper.__name__}"},
        provider="okkhor",
    )
