"""What runs on a machine of a job. train.py is stood in for by small scripts, whose endings can be chosen."""

import json
import os
import pickle
import signal
import threading
import time
from pathlib import Path

import pytest

from okkhor.errors import InputError, JobFailedError
from okkhor.launching import node as node_module
from okkhor.launching.backend import Status
from okkhor.launching.node import Ending, Letters, Node, read_result, read_status, worst
from okkhor.runs import Run

SHOW = """
import json, os, sys
from pathlib import Path
run = Path(sys.argv[1].partition("=")[2])
names = [n for n in os.environ if n.startswith(("OKKHOR_", "SLURM_"))]
(run / "seen.json").write_text(json.dumps({"words": sys.argv[2:]} | {n: os.environ[n] for n in names}))
print("printed")
"""
REFUSES = """
from okkhor.errors import InputError
from okkhor.launching.exits import one_line_errors
with one_line_errors():
    raise InputError("data.dir: no such folder")
"""
LONG = """
import signal, sys, time
from okkhor.launching.exits import record
signal.signal(signal.SIGTERM, lambda *_: (record("saved"), sys.exit(130)))
print("up", flush=True)
time.sleep(60)
"""
DEAF = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print("up", flush=True); time.sleep(60)'


@pytest.fixture
def made(tmp_path, monkeypatch):
    """made(script, nodes=1) -> a Node whose train.py is that script."""
    monkeypatch.setenv("OKKHOR_ROOT", str(tmp_path))
    run = Run.create(tmp_path / "runs", "x")

    def make(script, nodes=1, words=()):
        (tmp_path / "train.py").write_text(script, encoding="utf-8")
        (run.logs / "place").mkdir(exist_ok=True)
        made = Node.of(run, Letters(str(run.logs / "place"), "tag", nodes), words)
        nodes_made.append(made)
        return made

    nodes_made = []
    yield make
    for one in nodes_made:
        if one.process is not None and one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def wait_until_up(node):
    log = Path(node.run) / "logs" / "output.log"
    deadline = time.monotonic() + 60
    while not (log.is_file() and "up" in log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def seen(node):
    return json.loads((Path(node.run) / "seen.json").read_text())


def test_it_starts_train_py_on_the_run_with_what_was_typed(made, monkeypatch):
    monkeypatch.setenv("OKKHOR_COMMAND", "python train.py seed=1 launcher=slurm")
    node = made(SHOW, words=["data.dir=/there"]).fresh()
    node.start()
    assert node.wait() == Ending(0, "")
    found = seen(node)
    assert found["words"] == ["launcher=local", "data.dir=/there"]
    assert found["OKKHOR_COMMAND"] == "python train.py seed=1 launcher=slurm"
    assert "OKKHOR_NODES" not in found
    assert (Path(node.run) / "logs" / "output.log").read_text() == "printed\n"


def test_several_machines_are_told_where_they_meet(made):
    node = made(SHOW, nodes=2)
    node.start(1, "10.0.0.1", 20_001)
    assert node.wait().code == 0
    names = {"NODES": "2", "NODE_RANK": "1", "MAIN_ADDRESS": "10.0.0.1", "MAIN_PORT": "20001"}
    assert {name: seen(node)[f"OKKHOR_{name}"] for name in names} == names


def test_lightning_does_not_take_the_child_for_a_task_of_slurm(made, monkeypatch):
    from lightning_fabric.plugins.environments import SLURMEnvironment

    for name, value in {"SLURM_NTASKS": "2", "SLURM_JOB_NAME": "okkhor", "SLURM_PROCID": "1"}.items():
        monkeypatch.setenv(name, value)
    assert SLURMEnvironment.detect()
    node = made(SHOW)
    node.start()
    node.wait()
    for name in ("SLURM_NTASKS", "SLURM_PROCID"):
        monkeypatch.delenv(name)
        assert name not in seen(node)
    assert not SLURMEnvironment.detect()


def test_a_letter_stops_the_child(made):
    node = made(LONG)
    node.start()
    wait_until_up(node)
    node.letters.ask_to_stop()
    assert node.wait() == Ending(130, "saved")


def test_a_stop_within_a_signal_waits_for_the_child(made):
    """Slurm's warning comes as a signal, which interrupts `wait` anywhere."""
    node = made(LONG)
    node.start()
    wait_until_up(node)
    endings = []
    before = signal.signal(signal.SIGUSR2, lambda *_: endings.append(node.stop_and_wait()))
    try:
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGUSR2)).start()
        assert node.wait() == Ending(130, "saved")
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert endings == [Ending(130, "saved")]


def test_a_child_that_does_not_answer_is_killed(made):
    node = made(DEAF)
    node.start()
    wait_until_up(node)
    assert node.stop_and_wait(0.2) == Ending(-9, "killed by SIGKILL")


def test_a_machine_does_not_wait_for_one_that_failed(made, monkeypatch):
    monkeypatch.setattr(node_module, "GRACE_SECONDS", 0)
    node = made(DEAF, nodes=2)
    node.start(0)
    wait_until_up(node)
    node.letters.end(1, Ending(1, "out of memory"))
    assert node.wait().code == -9
    node.letters.end(0, Ending(-9, "killed by SIGKILL"))
    assert node.letters.outcome().code != 0


def test_a_stop_before_it_began_is_a_stop(made):
    node = made("import time; time.sleep(60)")
    node.start()
    node.stop()
    ending = node.wait()
    assert ending.code == 130
    assert ending.message.endswith(f"resume={node.run}")


def test_it_travels_as_plain_words(made):
    node = made(LONG)
    node.start()
    again = pickle.loads(pickle.dumps(node.fresh()))
    assert (again.run, again.letters, again.environment) == (node.run, node.letters, node.environment)


def test_a_job_has_ended_when_every_machine_has(tmp_path):
    letters = Letters(str(tmp_path), "tag", 2)
    letters.begin(0)
    letters.end(1, Ending(130, "stopped"))
    assert letters.outcome() is None
    letters.end(0, Ending(0, ""))
    assert letters.outcome() == Ending(130, "stopped")
    letters.begin(1)  # requeued
    assert letters.outcome() is None


@pytest.mark.parametrize(
    ("codes", "expected"),
    [((0, 0), 0), ((0, 130), 130), ((130, 1), 1), ((1, 2), 2), ((-9, 130), -9), ((0, -9), -9)],
)
def test_the_worst_ending_speaks_for_the_job(codes, expected):
    assert worst({rank: Ending(code, "x") for rank, code in enumerate(codes)}).code == expected


@pytest.mark.parametrize(
    ("code", "asked", "status"),
    [
        (0, True, Status.DONE),
        (130, False, Status.STOPPED),
        (-9, True, Status.STOPPED),
        (-9, False, Status.FAILED),
        (1, True, Status.FAILED),
    ],
)
def test_statuses(code, asked, status):
    assert read_status(Ending(code, ""), asked) is status


def test_a_refused_run_is_removed_and_a_trained_one_is_kept(made):
    node = made(REFUSES)
    node.start()
    ending = node.wait()
    assert ending == Ending(2, "data.dir: no such folder")
    run = Run(Path(node.run))
    run.last.write_text("weights")
    with pytest.raises(JobFailedError, match="no such folder"):
        read_result(run, ending)
    run.last.unlink()
    with pytest.raises(JobFailedError) as error:
        read_result(run, ending)
    assert error.value.code == 2
    assert not run.path.exists()


def test_without_the_projects_folder_nothing_is_submitted(tmp_path, monkeypatch):
    monkeypatch.setenv("OKKHOR_ROOT", str(tmp_path))
    with pytest.raises(InputError, match="OKKHOR_ROOT"):
        Node.of(Run.create(tmp_path, "x"), Letters(str(tmp_path), "tag"))
