"""One run, started: in this process, in one for each device, or at the place that `launcher=` names."""

import math
import os
from pathlib import Path

from omegaconf import DictConfig

from okkhor.build import build
from okkhor.errors import InputError, JobFailedError, StoppedError
from okkhor.launching.agent import Meeting, run_ranks
from okkhor.launching.agreement import is_rank
from okkhor.launching.backend import Backend, Status
from okkhor.launching.jobs import Job, run_jobs
from okkhor.launching.opening import processes
from okkhor.runs import Run


def start_run(run: Run, config: DictConfig, entry: Path, passed_on: list[str]) -> float:
    """Train a run that has been opened; returns its objective.

    entry: train.py; passed_on: options that the processes started here get besides `resume=`. Raises InputError,
    StoppedError, JobFailedError as the run ended.
    """
    if not is_rank():
        place: Backend = build(config.launcher, "launcher")
        if not place.in_place:
            if place.here:
                check_devices(config)
            place.passed_on, place.alone = passed_on, True
            place.check(config)
            if place.shows:
                place.show(config, run)
                return math.nan
            return _at(place, run)
        place.close()
        ranks, nodes = processes(config), config.trainer.get("num_nodes", 1)
        if ranks > 1 or nodes > 1:
            check_devices(config)  # once, before machines wait for each other
            meeting = Meeting.from_environment(os.environ, nodes)
            restarts = config.trainer.get("max_restarts", 0)
            run_ranks(run, entry, ranks, meeting=meeting, max_restarts=restarts, words=passed_on)
            return run.metrics()["objective"]

    from okkhor.training.fit import fit

    return fit(run, config)


def show_start(config: DictConfig) -> bool:
    """Show what a new run would be started with, where `launcher.dry_run` asks for it; whether it does."""
    if not config.launcher.get("dry_run"):
        return False
    place: Backend = build(config.launcher, "launcher")
    place.check(config)
    place.show(config)
    return True


def check_devices(config: DictConfig) -> None:
    """Raise InputError for a trainer whose devices or library this machine lacks."""
    if config.trainer.get("accelerator") not in ("cpu", "auto"):  # every machine has these: no need to load PyTorch
        from okkhor.training.trainers import check_trainer

        check_trainer(config.trainer)


def _at(place: Backend, run: Run) -> float:
    (outcome,) = run_jobs(place, [Job(0, [], run)])
    if outcome.objective is not None:
        return outcome.objective
    if outcome.status is Status.LEFT:
        return math.nan
    if outcome.status is Status.STOPPED:
        raise StoppedError(outcome.message)
    if outcome.code == 2:
        raise InputError(outcome.message)
    raise JobFailedError(outcome.message)
