"""Train a run: compose its configuration, fit, validate, write metrics.json, return the objective.

python train.py model=resnet34 aug=cutmix trainer=ddp        a run, in runs/<name>/<timestamp>
python train.py -m model=small,resnet18 seed=1,2             a sweep, a run for each combination
python train.py resume=runs/default/2026-11-22_20-18-00      continue a run or a sweep
"""

import math
import os
import sys
from contextlib import nullcontext
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from okkhor.launching.exits import one_line_errors
from okkhor.launching.opening import refuse_single_sweep, resumed_sweep
from okkhor.launching.words import as_group
from okkhor.tether import tether_if_started

COMPOSING = (HydraException, OmegaConfBaseException)
ROOT = Path(__file__).resolve().parent
os.environ.setdefault("OKKHOR_ROOT", str(ROOT))
os.environ["HYDRA_FULL_ERROR"] = "1"  # its exceptions come here, to be said in one line


@hydra.main(config_path="configs", config_name="train", version_base="1.3")
def main(config: DictConfig) -> float:
    """One run, in place where one process is enough; else in processes of its own. Returns the objective."""
    # said and left here, before Hydra would add its own words
    with one_line_errors(COMPOSING, defaults):
        refuse_single_sweep(HydraConfig.get().runtime.choices["hydra/sweeper"])
        return start(config, list(HydraConfig.get().overrides.task))


def start(config: DictConfig, overrides: list[str]) -> float:
    """Make or find the run, then have it run: here, in a process for each device, or at another place."""
    from okkhor.launching.opening import open_run, passed_on
    from okkhor.launching.starting import show_start, start_run
    from okkhor.training.options import check_options

    check_options(config)
    resumed = config.resume is not None
    if not resumed and show_start(config):
        return math.nan
    run, config = open_run(config, overrides)
    # a run that was there before is its maker's, who still has to read in it why it was refused
    with nullcontext() if resumed else run.discarded_if_refused():
        return start_run(run, config, Path(__file__), passed_on(overrides) if resumed else [])


def defaults() -> DictConfig:
    """The configuration without a command line: names to compare a mistyped one with."""
    with hydra.initialize(config_path="configs", version_base="1.3"):
        return hydra.compose("train")


if __name__ == "__main__":
    tether_if_started()
    with one_line_errors((*COMPOSING, ValueError), defaults):
        words = resumed_sweep(sys.argv[1:]) or sys.argv[1:]
        sys.argv[1:] = [as_group(word) for word in words]
        main()
