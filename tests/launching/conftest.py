"""A sweep as Hydra hands it to its plug-ins, and a place in memory where its jobs are done at once."""

import json

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.utils import setup_globals
from hydra.types import RunMode

from okkhor.errors import JobFailedError
from okkhor.launching.backend import Backend, Status
from okkhor.launching.sweeping import SweepLauncher
from okkhor.runs import Run


class Place(Backend):
    """Does an epoch of a job each time that it is asked for its status.

    score: a run's configuration -> its score in the last epoch, or an exception that it ends with; before, it grows
    evenly. dies_in: the number of a job during which the process that looks is killed, after its first epoch.
    """

    at_once = 1

    def __init__(self, score, dies_in=None):
        self.score, self.dies_in = score, dies_in
        self.started, self.stopped, self.epochs, self.failed = [], set(), {}, {}

    def submit(self, run):
        name = str(run.path)
        self.started.append(run.path.name)
        rows = (run.logs / "metrics.csv").read_text().splitlines() if run.last.exists() else ["epoch,step,val/score"]
        self.epochs[name] = rows
        return name

    def status(self, job):
        run, rows = Run.open(job), self.epochs[job]
        config = run.config()
        try:
            score = self.score(config)
        except JobFailedError as error:
            self.failed[job] = error
            return Status.FAILED
        if job in self.stopped:
            return Status.STOPPED
        epoch = len(rows) - 1
        rows.append(f"{epoch},{epoch},{score * (epoch + 1) / config.trainer.max_epochs}")
        (run.logs / "metrics.csv").write_text("\n".join(rows) + "\n")
        run.last.write_text("weights")
        if self.dies_in == int(run.path.name):
            raise Killed
        if len(rows) - 1 < config.trainer.max_epochs:
            return Status.RUNNING
        (run.path / "metrics.json").write_text(json.dumps({"objective": score, "val/score": score, "seconds": 2.5}))
        return Status.DONE

    def result(self, job):
        if job in self.failed:
            raise self.failed[job]
        if job in self.stopped:
            raise JobFailedError("ended with status 130", 130)
        return Run.open(job).metrics()["objective"]

    def stop(self, job):
        self.stopped.add(job)

    def close(self):
        pass


class Killed(BaseException):
    """Stands in for kill -9: nothing catches it, nothing is tidied up."""


@pytest.fixture
def place(monkeypatch):
    """place(score, …) -> the place where the jobs of every sweep of this test run from now on."""
    monkeypatch.setattr("okkhor.launching.jobs.POLL_SECONDS", 0)

    def choose(score, **more):
        made = Place(score, **more)
        monkeypatch.setattr("okkhor.launching.sweeping.build", lambda *_: made)
        return made

    return choose


@pytest.fixture
def sweep(tmp_path, train_py):
    """sweep("seed=1,2", …) -> (launcher, words) as a command line with -m gives them; `folder` is its folder."""
    setup_globals()
    loader = ConfigLoaderImpl(create_config_search_path(str(train_py.parent / "configs")))
    fixed = [f"paths.runs={tmp_path / 'runs'}", "trainer.max_epochs=4"]

    def make(*words, folder=None):
        hydra = [f"hydra.sweep.dir='{folder}'"] if folder else [f"hydra.sweep.dir='{tmp_path / 'sweep'}'"]
        config = loader.load_configuration("train", [*fixed, *words, *hydra], run_mode=RunMode.MULTIRUN)
        return SweepLauncher(loader, config), list(config.hydra.overrides.task)

    return make


@pytest.fixture
def killed():
    return Killed
