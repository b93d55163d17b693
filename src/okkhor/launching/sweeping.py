"""What Hydra's launcher plug-in does: from a sweep's job overrides to run directories, handed to the chosen place."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, open_dict

from okkhor.build import build
from okkhor.launching.agent import Meeting
from okkhor.launching.backend import Backend
from okkhor.launching.jobs import Job, Outcome, Watch, run_jobs
from okkhor.launching.starting import check_devices
from okkhor.runs import Run
from okkhor.training.options import check_options

Numbered = tuple[int, list[str]]  # a job's number in the sweep and what it overrides


class SweepLauncher:
    """Composes the jobs of one sweep, makes their run directories in its folder and has them run.

    loader, config: Hydra's loader and the sweep's own configuration, whose `launcher` block names the place.
    """

    def __init__(self, loader: ConfigLoader, config: DictConfig) -> None:
        self.loader = loader
        self.config = config
        self.folder = Path(config.hydra.sweep.dir)
        self.fixed: list[str] = []  # the words that all jobs share; a job's display leaves them out

    @cached_property
    def place(self) -> Backend:
        """Where the jobs run; raises InputError for an option or a missing package."""
        return build(self.config.launcher, "launcher")

    def claim(self) -> Path:
        """Make the sweep's folder, with a suffix where another sweep has it already; returns it."""
        _ = self.place  # what is wrong with it is said before there is a folder
        wanted = self.folder
        wanted.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, 1000):
            self.folder = wanted if attempt == 1 else wanted.with_name(f"{wanted.name}-{attempt}")
            try:
                self.folder.mkdir()
            except FileExistsError:
                continue
            return self.folder
        raise FileExistsError(wanted)

    def job_config(self, overrides: list[str]) -> DictConfig:
        """The configuration of one job, checked; raises InputError or Hydra's own errors for a mistake in it."""
        config = self.loader.load_sweep_config(self.config, overrides)
        with open_dict(config):
            del config["hydra"], config["sweep"]  # how jobs are chosen is no part of one
        check_options(config)
        return config

    def check_here(self, config: DictConfig) -> None:
        """Raise InputError for a run that the place cannot take, for want of devices, a library or machines."""
        self.place.check(config)
        if self.place.in_place:
            Meeting.from_environment(os.environ, config.trainer.get("num_nodes", 1))
        if self.place.here:
            check_devices(config)

    def show(self, overrides: Iterable[list[str]]) -> bool:
        """Show what jobs would be started with, where the place is to do no more; whether it is."""
        if self.place.shows:
            for words in overrides:
                self.place.show(self.job_config(words))
        return self.place.shows

    def stream(
        self,
        overrides: Iterable[Numbered],
        watch: Watch | None = None,
        finished: Callable[[Outcome], None] | None = None,
        total: int | None = None,
    ) -> list[Outcome]:
        """Run jobs as `run_jobs` does, each in <folder>/<number>; a directory that is there already goes on.

        A run that has finished is not run again. overrides: taken one by one, when a place is free.
        """
        return run_jobs(self.place, self._jobs(overrides), watch=watch, finished=finished, total=total)

    def _jobs(self, overrides: Iterable[Numbered]) -> Iterator[Job]:
        for number, words in overrides:
            path = self.folder / str(number)
            varied = [word for word in words if word not in self.fixed]
            if (path / "config.yaml").is_file():
                yield Job(number, varied, Run.open(path))
                continue
            if path.is_dir():  # a process that was killed had only just made it
                shutil.rmtree(path)
            config = self.job_config(words)
            run = Run.create(config.paths.runs, config.name, str(number), self.folder)
            run.write_config(config)
            yield Job(number, varied, run)
