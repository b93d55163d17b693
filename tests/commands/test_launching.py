"""Several processes for one command: they end together, however they end, and what stopped goes on."""

import contextlib
import os
import signal
import subprocess
import sys
from functools import partial

import psutil
import pytest
import torch
import waiting

from okkhor.runs import Run

pytestmark = pytest.mark.serial
LONG = ["trainer=ddp_sim", "trainer.max_epochs=500", "data.workers=1"]


until = partial(waiting.until, seconds=300)


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def started(tiny, tmp_path, train_py, killable):
    """Starts train.py, waits for its first checkpoint; gives the process, its run and all its descendants."""
    children, trees = [], []

    def start(*words, ignoring=None):
        flags = [word for word in words if word.startswith("-")]  # Hydra takes them in front alone
        options = [word for word in words if word not in flags]
        process = subprocess.Popen(
            [sys.executable, str(train_py), *flags, *tiny, *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env=killable, preexec_fn=None if ignoring is None else lambda: signal.signal(ignoring, signal.SIG_IGN),
        )  # fmt: skip
        children.append(process)
        until(lambda: process.poll() is not None or list((tmp_path / "runs").glob("**/checkpoints/last.ckpt")))
        assert process.poll() is None, process.communicate()
        last = next((tmp_path / "runs").glob("**/checkpoints/last.ckpt"))
        tree = psutil.Process(process.pid).children(recursive=True)
        trees.extend(tree)
        return process, Run.open(last.parent.parent), tree

    yield start
    for process in children:
        process.kill()
    for process in trees:  # one that a test has found alive would keep its end of the pipe open
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    for process in children:
        process.communicate()


def ranks(tree):
    return [p for p in tree if any("resume=" in word for word in p.cmdline()) and p.parent().ppid() == os.getpid()]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_ends_the_job_with_its_name_and_leaves_nothing(started, rank):
    process, run, tree = started(*LONG)
    ranks(tree)[rank].kill()
    _, errors = process.communicate(timeout=60)  # what is promised, however busy the machine is
    assert process.returncode == 1
    lines = errors.strip().splitlines()
    assert lines[-1].startswith("error: rank ")
    assert "killed by SIGKILL; go on with: python train.py resume=" in lines[-1]
    until(lambda: all(map(ended, tree)), seconds=60)
    assert not (run.path / "metrics.json").exists()


def test_a_killed_parent_leaves_nothing(started):
    process, _, tree = started(*LONG)
    assert len(tree) >= 4  # two ranks, a loader's worker each
    process.kill()
    process.wait()
    until(lambda: all(map(ended, tree)), seconds=60)


def test_a_parent_killed_before_its_ranks_know_it_leaves_nothing(tiny, train_py, killable):
    process = subprocess.Popen(
        [sys.executable, str(train_py), *tiny, *LONG],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, env=killable,
    )  # fmt: skip
    try:
        parent = psutil.Process(process.pid)
        tree = until(lambda: [child for child in parent.children() if started_as_rank(child)])
    finally:
        process.kill()
        process.wait()
    try:
        until(lambda: all(map(ended, tree)), seconds=60)
    finally:
        for child in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


def started_as_rank(process):
    with contextlib.suppress(psutil.Error):
        return any("resume=" in word for word in process.cmdline())
    return False


@pytest.mark.parametrize(
    ("number", "whom"),
    [(signal.SIGINT, "parent"), (signal.SIGTERM, "parent"), (signal.SIGTERM, 1), (signal.SIGUSR1, "parent")],
)
def test_a_stop_is_saved_on_every_rank_and_goes_on(started, command, number, whom):
    process, run, tree = started(*LONG)
    (psutil.Process(process.pid) if whom == "parent" else ranks(tree)[whom]).send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert errors.strip().splitlines()[-1].endswith(f"go on with: python train.py resume={run.path}")
    until(lambda: all(map(ended, tree)), seconds=60)
    config = run.config()
    config.trainer.max_epochs = 1  # it has been through more by now: it only scores
    run.write_config(config)
    done = command("train.py", f"resume={run.path}")
    assert done.returncode == 0, done.stderr
    assert run.metrics()["epochs"] >= 1


def test_under_nohup_a_closed_terminal_stops_no_rank(started):
    process, run, tree = started(*LONG[:1], "trainer.max_epochs=12", "data.workers=0", ignoring=signal.SIGHUP)
    for one in (process, *ranks(tree)):
        one.send_signal(signal.SIGHUP)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert run.metrics()["epochs"] == 12


def test_ranks_start_again_from_the_last_checkpoint(started):
    process, run, tree = started(*LONG[:1], "trainer.max_epochs=12", "data.workers=0", "trainer.max_restarts=1")
    ranks(tree)[1].kill()
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert run.metrics()["epochs"] == 12


def test_what_all_ranks_refuse_is_said_once(command, tiny, tmp_path):
    done = command("train.py", *tiny, "trainer=ddp_sim", "data.dir=/nowhere/at/all")
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [
        "error: data.dir=/nowhere/at/all: no such folder; expected the one with the data files"
    ]
    assert not list((tmp_path / "runs").glob("*/*"))


@pytest.mark.parametrize("name", ["mps", "ddp", "apex"])
def test_a_trainer_that_cannot_be_here_is_one_line_before_any_data_is_read(command, tiny, tmp_path, name):
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("there is a GPU")
    done = command("train.py", *tiny, f"trainer={name}", "data.dir=/nowhere/at/all")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: trainer")
    assert "use trainer=" in line
    assert not list((tmp_path / "runs").glob("*/*"))


def test_ranks_read_the_data_where_a_resumed_run_is_told_that_it_lies(command, compose, synthetic_dir):
    config = compose("trainer=ddp_sim", "trainer.max_epochs=1", "data.dir=/nowhere/any/more")
    run = Run.create(config.paths.runs, config.name)
    run.write_config(config)
    refused = command("train.py", f"resume={run.path}")
    assert refused.returncode == 2
    assert run.path.is_dir()  # what a person asks to go on with is not removed
    done = command("train.py", f"resume={run.path}", f"data.dir={synthetic_dir}")
    assert done.returncode == 0, done.stderr
    assert run.metrics()["epochs"] == 1


BREAKING = """
import os
import torch

class Breaking(torch.optim.SGD):
    def __init__(self, params, lr, **_):
        super().__init__(params, lr)

    def step(self, closure=None):
        super().step(closure)
        if os.environ["RANK"] == "1":
            raise ArithmeticError("one rank in two")
"""


def test_a_rank_that_breaks_is_named_and_shows_its_traceback_once(command, tiny, tmp_path):
    (tmp_path / "breaking.py").write_text(BREAKING, encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    words = ["trainer=ddp_sim", "scheduler=constant", "optimizer._target_=breaking.Breaking"]
    done = command("train.py", *tiny, *words, PYTHONPATH=path)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == "error: rank 1: ArithmeticError: one rank in two"
    assert done.stderr.count("Traceback (most recent call last)") == 1
    assert "breaking.py" in done.stderr


def test_under_a_persons_own_torchrun_there_is_one_run(tiny, tmp_path, train_py):
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(train_py), *tiny]
    done = subprocess.run(
        [sys.executable, *words, "trainer=ddp_sim", "trainer.max_epochs=1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (run,) = [Run.open(path) for path in (tmp_path / "runs" / "default").iterdir()]
    assert run.metrics()["epochs"] == 1


def test_what_is_refused_under_a_persons_own_torchrun_leaves_no_run(tiny, tmp_path, train_py):
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(train_py), *tiny]
    done = subprocess.run(
        [sys.executable, *words, "trainer=ddp_sim", "data.dir=/nowhere/at/all"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "error: data.dir=/nowhere/at/all: no such folder" in done.stderr
    assert not list((tmp_path / "runs").glob("*/*"))


def test_jobs_of_a_sweep_run_at_the_same_time(command, tiny, tmp_path):
    done = command("train.py", "-m", *tiny, "trainer.max_epochs=1", "seed=1,2", "launcher.n_jobs=2")
    assert done.returncode == 0, done.stderr
    (sweep,) = (tmp_path / "runs" / "default").iterdir()
    runs = [Run.open(sweep / name) for name in ("0", "1")]
    assert [run.config().seed for run in runs] == [1, 2]
    assert all("score" in (run.logs / "output.log").read_text() for run in runs)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_sweep_that_is_stopped_leaves_no_process(started, number):
    # in the background of a script, as CI has it, a shell has SIGINT ignored
    process, _, tree = started("-m", "seed=1,2,3", *LONG, "launcher.n_jobs=2", ignoring=signal.SIGINT)
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    until(lambda: all(map(ended, tree)), seconds=60)
