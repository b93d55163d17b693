"""Train a run: compose its configuration, fit, validate, write metrics.json, return the objective.

python train.py model=resnet34 aug=cutmix trainer=ddp        a run, in runs/<name>/<timestamp>
python train.py -m model=small,resnet18 seed=1,2             a sweep, a run for each combination
python train.py resume=runs/default/2026-11-22_20-18-00      continue one
"""

import os
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from okkhor.launching.exits import one_line_errors

COMPOSING = (HydraException, OmegaConfBaseException)
ROOT = Path(__file__).resolve().parent
os.environ.setdefault("OKKHOR_ROOT", str(ROOT))
os.environ["HYDRA_FULL_ERROR"] = "1"  # its exceptions come here, to be said in one line


@hydra.main(config_path="configs", config_name="train", version_base="1.3")
def main(config: DictConfig) -> float:
    """One run, in place where one process is enough; else in processes of its own. Returns the objective."""
    # said and left here, before Hydra would add its own words
    with one_line_errors(COMPOSING, defaults):
        return start(config, HydraConfig.get())


def start(config: DictConfig, hydra_config: DictConfig) -> float:
    """Make or find the run, then run it here or, for several processes and for sweeps, in fresh ones."""
    from okkhor.launching.local import is_rank, open_run, processes, run_elsewhere
    from okkhor.training.options import check_options

    swept = hydra_config.mode == RunMode.MULTIRUN
    check_options(config)
    run, config = open_run(
        config,
        list(hydra_config.overrides.task),
        job=str(hydra_config.job.num) if swept else None,
        sweep=hydra_config.sweep.dir if swept else None,
    )
    ranks = processes(config)
    with run.discarded_if_refused():
        if not is_rank() and (swept or ranks > 1):
            run_elsewhere(run, Path(__file__), ranks)
            return run.metrics()["objective"]

        from okkhor.training.fit import fit

        return fit(run, config)


def defaults() -> DictConfig:
    """The configuration without a command line: names to compare a mistyped one with."""
    with hydra.initialize(config_path="configs", version_base="1.3"):
        return hydra.compose("train")


if __name__ == "__main__":
    with one_line_errors((*COMPOSING, ValueError), defaults):
        main()
