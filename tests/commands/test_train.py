"""`python train.py` as a user types it."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from omegaconf import OmegaConf

from okkhor.runs import Run


def only_run(folder):
    (config,) = folder.glob("*/**/config.yaml")
    return Run.open(config.parent)


def weights(run):
    return torch.load(run.last, weights_only=True)["state_dict"]


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("did not happen in time")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["modle=small"], "error: modle: no such option; did you mean model?"),
        (["model=resnet19"], "error: model=resnet19: no such choice; expected one of "),
        (["optimizer.lrr=1"], "error: optimizer.lrr: no such option; did you mean optimizer.lr?"),
        (["model.options={wdths:[4]}"], "error: model.options.wdths: no such option; did you mean model.options"),
        (["trainer.max_epochs=abc"], "error: trainer.max_epochs: expected an integer of at least 1, got 'abc'"),
        (["data.size=[1,2"], "error: data.size=[1,2: cannot be read"),
        (["optimizer=3"], "error: optimizer=3: a group takes the name of one of its choices"),
        (["+trainer.speed=3"], "error: trainer.speed: no such option of Trainer"),
        (["trainer=gpu"], "error: trainer: no CUDA GPU here; use trainer=cpu"),
        (["data=bengali"], "error: data.dir: expected the folder with the data files"),
        (["data=bengali", "data.dir=/nowhere/at/all"], "error: data.dir=/nowhere/at/all: no such folder"),
        (["resume=/nowhere"], "error: /nowhere: no such run directory"),
    ],
)
def test_a_mistake_ends_in_one_line_and_status_two_and_leaves_no_run(command, tmp_path, words, said):
    if words == ["trainer=gpu"] and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    done = command("train.py", *words)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(said)
    assert not list((tmp_path / "runs").glob("*/*"))


def test_help_lists_groups_choices_and_examples(command):
    done = command("train.py", "--help")
    assert done.returncode == 0
    for word in ("python train.py", "model: ", "small", "trainer: ", "ddp_sim", "resume"):
        assert word in done.stdout


@pytest.mark.slow
def test_a_sweep_gives_a_run_directory_for_each_job(command, tiny, tmp_path):
    options = [o for o in tiny if not o.startswith("model.")]
    done = command("train.py", "-m", "model=small,resnet18", "trainer.max_epochs=1", *options)
    assert done.returncode == 0, done.stderr
    (sweep,) = (tmp_path / "runs" / "default").iterdir()
    jobs = [Run.open(sweep / name) for name in ("0", "1")]
    assert [job.config().model.backbone for job in jobs] == ["small", "torchvision/resnet18"]
    assert all(job.metrics()["objective"] >= 0 for job in jobs)


@pytest.mark.serial
def test_two_processes_share_one_run_directory_and_its_metrics_are_whole(command, tiny, tmp_path):
    options = tiny
    done = command("train.py", *options, "trainer=ddp_sim", "trainer.max_epochs=1")
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path / "runs")
    assert {path.name for path in (tmp_path / "runs" / "default").iterdir()} == {run.path.name}
    assert run.metrics()["images/validation"] > 0
    # the ranks' validation, summed by torchmetrics, against the one process that scored the best checkpoint
    last = (run.logs / "metrics.csv").read_text().splitlines()[1:]
    header = (run.logs / "metrics.csv").read_text().splitlines()[0].split(",")
    logged = [dict(zip(header, row.split(","), strict=True)).get("val/score") for row in last]
    assert float(next(value for value in logged if value)) == pytest.approx(run.metrics()["val/score"], abs=1e-6)


@pytest.mark.serial
def test_killed_in_the_middle_of_an_epoch_it_resumes_to_the_same_weights(command, tiny, tmp_path, train_py):
    options = [*tiny, "trainer.max_epochs=8", "+trainer.limit_train_batches=20"]
    options = [o for o in options if o != "+trainer.limit_train_batches=6"]
    assert command("train.py", *options, "name=whole").returncode == 0

    environment = {**os.environ, "OKKHOR_RUNS": str(tmp_path / "runs")}
    process = subprocess.Popen(
        [sys.executable, str(train_py), *options, "name=cut"], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: list((tmp_path / "runs" / "cut").glob("*/checkpoints/last.ckpt")))
        time.sleep(0.05)  # well before the next epoch has ended
    finally:
        process.kill()
        process.wait()
    cut = only_run(tmp_path / "runs" / "cut")
    assert not (cut.path / "metrics.json").exists()
    assert torch.load(cut.last, weights_only=True)["epoch"] < 7
    done = command("train.py", f"resume={cut.path}")
    assert done.returncode == 0, done.stderr
    whole = only_run(tmp_path / "runs" / "whole")
    ours, theirs = weights(cut), weights(whole)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert cut.metrics()["val/score"] == whole.metrics()["val/score"]


@pytest.mark.serial
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_saves_says_how_to_go_on_and_leaves_cleanly(number, tiny, tmp_path, train_py):
    options = [*tiny, "trainer.max_epochs=500", "callbacks=default"]
    process = subprocess.Popen(
        [sys.executable, str(train_py), *options], text=True,
        env={**os.environ, "OKKHOR_RUNS": str(tmp_path / "runs")}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        wait_for(lambda: list((tmp_path / "runs").glob("*/*/checkpoints/last.ckpt")))
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    run = only_run(tmp_path / "runs")
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert f"resume={run.path}" in said
    assert torch.load(run.last, weights_only=True)["global_step"] > 0
    assert not list(run.path.glob("**/*.part"))


def test_resume_refuses_other_options(command, tmp_path):
    run = Run.create(tmp_path / "runs", "x")
    run.write_config(OmegaConf.create({"data": {"dir": str(tmp_path)}}))
    done = command("train.py", f"resume={run.path}", "optimizer.lr=1")
    assert done.returncode == 2
    assert "optimizer.lr: cannot be changed together with resume=" in done.stderr
    assert run.path.is_dir()


@pytest.mark.slow
@pytest.mark.parametrize("debug", ["limit", "fast_dev_run", "overfit", "profiler"])
def test_debug_presets_run(command, tiny, tmp_path, debug):
    options = [o for o in tiny if "limit_" not in o and "max_epochs" not in o]
    extra = ["trainer.max_epochs=2"] if debug == "overfit" else []
    done = command("train.py", f"debug={debug}", *[o for o in options if o != "callbacks=none"], *extra)
    assert done.returncode == 0, done.stderr
    assert json.loads(next((tmp_path / "runs" / "debug").glob("*/metrics.json")).read_text())["objective"] >= 0


def test_result_table_is_printed_with_score_recalls_time_and_place(command, tiny, tmp_path):
    options = [o for o in tiny if o != "callbacks=none"]
    done = command("train.py", *options)
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path / "runs")
    for word in ("score", "recall root", "recall vowel", "recall consonant", "time", "evaluate.py"):
        assert word in done.stdout
    assert str(run.path.name) in done.stdout
    assert re.search(r"epoch 2/2 .* images/s", done.stdout)
    assert {
        "learning_curves.png",
        "misread.png",
        "calibration.png",
        "gradcam.png",
        "recall.png",
        "confusion.png",
        "index.html",
    } <= {path.name for path in run.report.iterdir()}
