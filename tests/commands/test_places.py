"""The same command line at other places: Slurm's by submitit's local executor, Ray's by a Ray of this machine."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch
import waiting

from okkhor.runs import Run

pytestmark = pytest.mark.serial
SLURM = ["launcher=slurm", "launcher.cluster=local"]
RAY = ["launcher=ray", "launcher.cpus_per_node=1", "launcher.strategy=PACK"]


def there(name, module):
    absent = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(absent, reason=f"launcher={name} is an extra: pip install -e '.[{name}]'")


PLACES = [
    pytest.param(SLURM, id="slurm", marks=there("slurm", "submitit")),
    pytest.param(RAY, id="ray", marks=there("ray", "ray")),
]


until = partial(waiting.until, seconds=300)


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def runs(tmp_path):
    return sorted(path.parent for path in (tmp_path / "runs").glob("**/config.yaml"))


@pytest.fixture
def started(tiny, tmp_path, train_py, killable):
    """Starts train.py and waits for its first checkpoint; gives the process, its run and all its descendants."""
    children, trees = [], []

    def start(*words):
        command = [sys.executable, str(train_py), *tiny, *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, **pipes, text=True, start_new_session=True, env=killable)
        children.append(process)
        until(lambda: process.poll() is not None or list((tmp_path / "runs").glob("**/checkpoints/last.ckpt")))
        assert process.poll() is None, process.communicate()
        (path,) = runs(tmp_path)
        trees.extend(psutil.Process(process.pid).children(recursive=True))
        return process, Run.open(path), trees

    yield start
    for process in children:
        process.kill()
        process.communicate()
    until(lambda: all(map(ended, trees)), seconds=60)


def the_one(tree, word):
    return next(p for p in tree if not ended(p) and any(word in part for part in p.cmdline()))


@pytest.mark.parametrize("place", PLACES)
def test_a_sweep_gives_what_it_gives_here(command, tiny, tmp_path, place):
    words = [*tiny, "trainer.max_epochs=1", "seed=1,2"]
    done = command("train.py", "-m", *words, *place, "name=there")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("val/score") >= 2  # live progress
    alone = command("train.py", *words[:-1], "seed=2", "name=here")
    assert alone.returncode == 0, alone.stderr
    there = [Run.open(path) for path in runs(tmp_path) if "there" in path.parts]
    (here,) = [Run.open(path) for path in runs(tmp_path) if "here" in path.parts]
    assert [run.config().seed for run in there] == [1, 2]
    assert there[1].metrics()["objective"] == here.metrics()["objective"]


@pytest.mark.parametrize("place", PLACES)
def test_two_machines_train_together(command, tiny, tmp_path, place):
    nodes = ["trainer=ddp_sim", "trainer.devices=1", "trainer.num_nodes=2", "trainer.max_epochs=1"]
    done = command("train.py", *tiny, *nodes, *place)
    assert done.returncode == 0, done.stderr
    (path,) = runs(tmp_path)
    assert Run.open(path).metrics()["epochs"] == 1
    assert (path / "logs" / "output-1.log").is_file()


@pytest.mark.parametrize("place", PLACES)
def test_what_all_ranks_refuse_there_is_said_once_and_leaves_no_run(command, tiny, tmp_path, place):
    done = command("train.py", *tiny, "trainer=ddp_sim", "data.dir=/nowhere/at/all", *place)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [
        "error: data.dir=/nowhere/at/all: no such folder; expected the one with the data files"
    ]
    assert not runs(tmp_path)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("sweep", [[], ["-m", "seed=1,2"]])
def test_a_trainer_that_this_machine_lacks_is_one_line_where_the_jobs_run_on_it(command, tiny, tmp_path, place, sweep):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = command("train.py", *sweep, *tiny, "trainer=apex", "data.dir=/nowhere/at/all", *place)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: trainer=apex: ")
    assert "use trainer=" in line
    assert not list((tmp_path / "runs").glob("*/*"))


@pytest.mark.parametrize("place", PLACES)
def test_a_resumed_run_is_told_there_where_its_data_lies(command, compose, synthetic_dir, place):
    config = compose("trainer.max_epochs=1", "data.dir=/nowhere/any/more")
    run = Run.create(config.paths.runs, config.name)
    run.write_config(config)
    done = command("train.py", f"resume={run.path}", f"data.dir={synthetic_dir}", *place)
    assert done.returncode == 0, done.stderr
    assert run.metrics()["epochs"] == 1


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_end_of_the_one_that_was_typed_ends_its_jobs(started, place, number):
    process, run, tree = started("trainer.max_epochs=500", *place)
    words = " ".join(word for one in tree if not ended(one) for word in one.cmdline())
    folders = set(map(Path, re.findall(r"/tmp/okkhor-ray-\w+", words)))
    assert bool(folders) == (place == RAY)
    process.send_signal(number)
    process.communicate(timeout=180)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert run.last.is_file()
    until(lambda: all(map(ended, tree)) and not any(folder.exists() for folder in folders), seconds=60)


@pytest.mark.skipif(importlib.util.find_spec("submitit") is None, reason="pip install -e '.[slurm]'")
def test_a_preempted_job_is_requeued_and_goes_on(started):
    process, run, tree = started("trainer.max_epochs=6", *SLURM)
    the_one(tree, "submitit.core._submit").send_signal(signal.SIGUSR2)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "stopping after this batch" in (run.logs / "output.log").read_text()
    (log,) = (run.logs / "slurm").glob("*_0_log.err")
    assert "Requeued job" in log.read_text() + log.with_suffix(".out").read_text()
    assert run.metrics()["epochs"] == 6


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="pip install -e '.[ray]'")
def test_a_job_whose_worker_died_goes_on(started):
    process, run, tree = started("trainer.max_epochs=6", *RAY)
    the_one(tree, "ray::run_node").kill()
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert run.metrics()["epochs"] == 6
    epochs = [line.split(",")[0] for line in (run.logs / "metrics.csv").read_text().splitlines()[1:]]
    assert len(epochs) >= 6
    assert json.loads((run.path / "metrics.json").read_text())["objective"] >= 0


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="pip install -e '.[ray]'")
def test_what_this_machine_never_has_is_refused_by_its_ray(command, tiny, tmp_path):
    done = command("train.py", *tiny, *RAY, "launcher.cpus_per_node=10000")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: launcher=ray: a job asks for 10000 CPU, this machine has ")
    assert not runs(tmp_path)


@pytest.mark.parametrize(("name", "module"), [("slurm", "submitit"), ("ray", "ray")])
def test_a_missing_extra_is_named_before_anything_is_made(command, tiny, tmp_path, name, module):
    hook = tmp_path / "without" / "sitecustomize.py"
    hook.parent.mkdir()
    hook.write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        f"u.find_spec = lambda name, package=None: None if name == {module!r} else find(name, package)\n"
    )
    path = os.pathsep.join(filter(None, [str(hook.parent), os.environ.get("PYTHONPATH")]))
    done = command("train.py", *tiny, f"launcher={name}", PYTHONPATH=path)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.endswith(f"expected pip install -e '.[{name}]'")
    assert not runs(tmp_path)
