"""Sweeps from the command line. Where what a job learns does not matter, a short script stands in for its training."""

import csv
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from okkhor.launching.study import open_study
from okkhor.runs import Run

pytestmark = pytest.mark.serial
ROOT = Path(__file__).resolve().parents[2]
STAND_IN = """
import json, math, os, signal, sys, time
from pathlib import Path
from omegaconf import OmegaConf
from okkhor.launching.exits import one_line_errors
from okkhor.tether import tether_if_started
tether_if_started()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
run = Path(sys.argv[1].partition("=")[2])
config = OmegaConf.load(run / "config.yaml")
with (run / "starts").open("a") as file:
    file.write("x")
score = 1 - abs(math.log10(config.optimizer.lr) + 2.5) / 4
with one_line_errors():
    if config.model.dropout > 0.5:
        raise RuntimeError("out of memory")
    rows = (run / "logs/metrics.csv").read_text().splitlines() if (run / "checkpoints/last.ckpt").exists() else [
        "epoch,step,val/score"]
    for epoch in range(len(rows) - 1, 4):
        time.sleep(config.trainer.gradient_clip_val)
        rows.append(f"{epoch},{epoch},{score * (epoch + 1) / 4}")
        (run / "logs/metrics.csv").write_text("\\n".join(rows) + "\\n")
        (run / "checkpoints/last.ckpt").write_text("weights")
    (run / "metrics.json").write_text(json.dumps({"objective": score, "val/score": score, "seconds": 1.0}))
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch, killable):
    """A folder with a train.py that jobs are started with; an epoch takes `trainer.gradient_clip_val` seconds."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "train.py").write_text(STAND_IN, encoding="utf-8")
    monkeypatch.setenv("TMPDIR", killable["TMPDIR"])
    monkeypatch.setenv("OKKHOR_ROOT", str(tmp_path / "project"))
    monkeypatch.setenv("OKKHOR_RUNS", str(tmp_path / "runs"))
    return ["trainer.gradient_clip_val=0.01"]


def rows(folder):
    with (folder / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def the_sweep(tmp_path):
    (folder,) = (tmp_path / "runs" / "default").iterdir()
    return folder


def test_the_command_of_the_best_job_gives_its_score_again(command, tiny, tmp_path):
    words = [*tiny, "trainer.max_epochs=1", "optimizer.lr=0.001,0.02"]
    done = command("train.py", "-m", *words)
    assert done.returncode == 0, done.stderr
    folder = the_sweep(tmp_path)
    best = rows(folder)[0]
    assert best["command"] in done.stdout
    assert (folder / "leaderboard.png").is_file()
    assert yaml.safe_load((folder / "sweep.yaml").read_text())["overrides"] == words
    python, script, *options = shlex.split(best["command"])
    assert (python, script) == ("python", str(ROOT / "train.py"))
    again = command("train.py", *options)
    assert again.returncode == 0, again.stderr
    (run,) = [Run.open(path) for path in (tmp_path / "runs" / "default").iterdir() if path != folder]
    assert run.metrics()["val/score"] == float(best["val/score"])
    assert run.metrics()["val/loss"] == float(best["val/loss"])


def test_a_failing_job_is_passed_over_and_the_status_says_so(command, stand_in, tmp_path):
    done = command("train.py", "-m", *stand_in, "model.dropout=0,0.9,0.1", "launcher.n_jobs=2")
    assert done.returncode == 1
    assert [(row["job"], row["status"]) for row in rows(the_sweep(tmp_path))] == [
        ("0", "done"), ("2", "done"), ("1", "failed"),
    ]  # fmt: skip
    assert done.stderr.strip().splitlines()[-1].startswith("error: 1 of 3 jobs failed, leaderboard.csv says why")
    assert "job 1 failed: RuntimeError: out of memory" in done.stdout
    started = [line for line in done.stdout.splitlines() if line.startswith("job 0 of 3")]
    assert started == ["job 0 of 3  model.dropout=0"]  # what all have in common was said once


@pytest.mark.parametrize("kind", ["grid", "optuna"])
def test_a_sweep_that_was_killed_goes_on_with_resume(command, stand_in, tmp_path, kind):
    words = ["trainer.gradient_clip_val=0.5", "launcher.n_jobs=2"]
    if kind == "optuna":
        words += ["sweep=optuna", "sweep.trials=4", "sweep.prune=false", "optimizer.lr=tag(log,interval(1e-4,1e-1))"]
    else:
        words += ["seed=1,2,3,4"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), "-m", *words],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 300
        while len(list((tmp_path / "runs").glob("default/*/*/checkpoints/last.ckpt"))) < 3:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        jobs = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.kill()
        process.wait()
    deadline = time.monotonic() + 60
    while any(job.is_running() and job.status() != psutil.STATUS_ZOMBIE for job in jobs):  # they end with it
        assert time.monotonic() < deadline
        time.sleep(0.05)
    folder = the_sweep(tmp_path)
    values = {n: Run.open(folder / str(n)).config().optimizer.lr for n in range(3)}
    # one may have ended in the very moment before the kill, and not be on the board yet
    finished = {str(n) for n in range(3) if (folder / str(n) / "metrics.json").is_file()}
    assert {row["job"] for row in rows(folder)} <= finished
    assert finished
    starts = {n: (folder / str(n) / "starts").read_text() for n in range(3)}

    done = command("train.py", f"resume={folder}")
    assert done.returncode == 0, done.stderr
    table = rows(folder)
    assert sorted(row["job"] for row in table) == ["0", "1", "2", "3"]
    assert {row["status"] for row in table} == {"done"}
    for number, rate in values.items():
        run = Run.open(folder / str(number))
        assert run.config().optimizer.lr == rate
        more = (run.path / "starts").read_text().removeprefix(starts[number])
        assert more == ("" if str(number) in finished else "x")
        assert (run.logs / "metrics.csv").read_text().count("\n") == 5  # went on where it was
    if kind == "grid":
        before = [(folder / str(n) / "starts").read_text() for n in range(4)]
        assert command("train.py", f"resume={folder}").returncode == 0
        assert [(folder / str(n) / "starts").read_text() for n in range(4)] == before  # there was nothing left to do


def test_a_sweep_that_is_stopped_says_how_to_go_on(stand_in, tmp_path):
    words = ["-m", "trainer.gradient_clip_val=5", "sweep=optuna", "launcher.n_jobs=2"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, start_new_session=True, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 300
        while len(list((tmp_path / "runs").glob("default/*/*/starts"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert errors.strip().splitlines()[-1].endswith(f"go on with: python train.py resume={the_sweep(tmp_path)}")
    assert {row["status"] for row in rows(the_sweep(tmp_path))} == {"stopped"}


def test_a_real_run_that_falls_behind_is_stopped_and_could_go_on(command, tiny, tmp_path):
    words = ["sweep=optuna", "sweep.startup=1", "sweep.warmup=1", "sweep.seed=2", "objective=val/loss"]
    words += ["sweep.direction=minimize", "trainer.max_epochs=10", "optimizer.lr=4e-3,1e-9"]
    done = command("train.py", "-m", *tiny, *words, "sweep.trials=1")
    assert done.returncode == 0, done.stderr
    folder = the_sweep(tmp_path)
    # this seed draws the first rate; at the second nothing is learned, so it is asked for by hand
    study = open_study(folder, {"prune": False, "direction": "minimize"})
    study.enqueue_trial({"optimizer.lr": "1e-09"})
    done = command("train.py", "-m", *tiny, *words, "sweep.trials=2", f"hydra.sweep.dir={folder}")
    assert done.returncode == 0, done.stderr
    first, second = rows(folder)
    assert (first["optimizer.lr"], first["status"]) == ("0.004", "done")
    assert (second["optimizer.lr"], second["status"]) == ("1e-09", "pruned")
    assert second["reason"].startswith("worse than the median after epoch ")
    run = Run.open(folder / second["job"])
    assert run.last.is_file()
    assert not (run.path / "metrics.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sweep=optuna"], "sweep=optuna: a sweep takes -m; expected python train.py -m sweep=optuna"),
        (["sweep=wandb"], "sweep=wandb: a sweep takes -m"),
        (["-m", "sweep=optuna", "sweep.trials=0"], "sweep.trials: expected an integer of at least 1, got 0"),
        (["-m", "sweep=bayes"], "sweep=bayes: no such choice; expected one of grid, optuna, wandb"),
        (["-m", "seed=1,-2"], "seed: expected an integer of at least 0, got -2 (in the job seed=-2)"),
        (["seed=1,2"], "seed=1,2: several values are a sweep, which takes -m"),
    ],
)
def test_a_mistake_is_one_line(command, tmp_path, words, message):
    done = command("train.py", *words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {message}")
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list((tmp_path / "runs").glob("*/*"))
