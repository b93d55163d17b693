"""Processes of this machine. The project's train.py is stood in for by small scripts, whose endings can be chosen."""

import os
import signal
import time

import pytest

from okkhor.errors import InputError, JobFailedError
from okkhor.launching.backend import Status
from okkhor.launching.jobs import Job, run_jobs
from okkhor.launching.local import LocalBackend, entry, gpus
from okkhor.runs import Run

GOOD = """
import json, os, sys
from pathlib import Path
run = Path(sys.argv[1].partition("=")[2])
(run / "metrics.json").write_text(json.dumps({"objective": 0.5, "threads": os.environ.get("OMP_NUM_THREADS"),
    "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"), "command": os.environ["OKKHOR_COMMAND"]}))
print("printed")
"""
BAD = """
from okkhor.errors import InputError
from okkhor.launching.exits import one_line_errors
with one_line_errors():
    raise {error}
"""
LONG = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
print("up", flush=True)
time.sleep(60)
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Writes train.py into a folder of its own and makes that the project's."""
    monkeypatch.setenv("OKKHOR_ROOT", str(tmp_path))
    monkeypatch.delenv("OMP_NUM_THREADS")

    def write(script):
        (tmp_path / "train.py").write_text(script, encoding="utf-8")

    return write


@pytest.fixture
def job(tmp_path, compose):
    made = iter(range(10))

    def make(*options):
        number = next(made)
        run = Run.create(tmp_path, "runs", str(number), tmp_path / "sweep")
        run.write_config(compose(*options))
        return Job(number, [], run)

    return make


def wait_for_text(path, text):
    deadline = time.monotonic() + 60
    while not (path.is_file() and text in path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_jobs_print_into_their_runs_and_share_the_machine(project, job):
    project(GOOD)
    jobs = [job() for _ in range(3)]
    outcomes = run_jobs(LocalBackend(n_jobs=2), jobs)
    assert [o.status for o in outcomes] == [Status.DONE] * 3
    for made in jobs:
        assert (made.run.logs / "output.log").read_text() == "printed\n"
        assert made.run.metrics()["threads"] == str(max(1, os.cpu_count() // 2))
        assert made.run.metrics()["gpus"] is None


def test_each_slot_has_gpus_of_its_own_where_there_are_enough(project, job, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")  # no GPU is used: the names are only handed on
    project(GOOD)
    jobs = [job("trainer=ddp", "trainer.devices=2") for _ in range(2)]
    run_jobs(LocalBackend(n_jobs=2), jobs)
    assert {made.run.metrics()["gpus"] for made in jobs} == {"4,5", "6,7"}
    assert gpus() == ["4", "5", "6", "7"]


@pytest.mark.parametrize(
    ("error", "said"), [("ValueError('it broke')", "ValueError: it broke"), ("OSError(5, 'disk')", "disk")]
)
def test_the_reason_of_a_failure_comes_back(project, job, error, said):
    project(BAD.format(error=error))
    made = job()
    (outcome,) = run_jobs(LocalBackend(n_jobs=2), [made])
    assert (outcome.status, outcome.code) == (Status.FAILED, 1)
    assert said in outcome.message
    assert made.run.path.is_dir()


def test_a_refused_job_leaves_no_run(project, job):
    project(BAD.format(error="InputError('data.dir: no such folder')"))
    made = job()
    (outcome,) = run_jobs(LocalBackend(n_jobs=2), [made])
    assert (outcome.status, outcome.code, outcome.message) == (Status.FAILED, 2, "data.dir: no such folder")
    assert not made.run.path.exists()


def test_a_killed_job_is_named_by_its_signal(project, job):
    project("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    (outcome,) = run_jobs(LocalBackend(n_jobs=2), [job()])
    assert (outcome.status, outcome.message) == (Status.FAILED, "killed by SIGKILL")


def test_stop_asks_and_then_kills(project, job):
    project(LONG)
    place = LocalBackend(n_jobs=2)
    polite, stubborn = job(), job()
    names = {made.number: place.submit(made.run) for made in (polite, stubborn)}
    for made in (polite, stubborn):
        wait_for_text(made.run.logs / "output.log", "up")
    place.stop(names[0])
    os.kill(int(names[1]), signal.SIGSTOP)  # cannot answer
    place.stop(names[1])
    assert place.status(names[1]) is Status.RUNNING
    place.stop(names[1])
    for name in names.values():
        with pytest.raises(JobFailedError):
            place.result(name)
        assert place.status(name) is Status.STOPPED
    place.close()


def test_close_leaves_no_process(project, job):
    project(LONG)
    place = LocalBackend(n_jobs=2)
    name = place.submit(job().run)
    place.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(name), 0)


def test_without_the_projects_folder_it_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("OKKHOR_ROOT", str(tmp_path))
    with pytest.raises(InputError, match="OKKHOR_ROOT"):
        entry()
