"""`python train.py experiment=simclr` and what follows from it, as a user types it."""

import csv
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
import yaml

from okkhor.runs import Run
from okkhor.training.callbacks import GracefulStop
from okkhor.training.fit import fit

STEPS = ("++trainer.limit_train_batches=2", "trainer.max_epochs=1")


def of_experiment(tiny):
    """The options of a tiny run that an experiment does not choose itself."""
    return [option for option in tiny if not option.startswith("callbacks=")]


def only_run(folder):
    (config,) = folder.glob("*/**/config.yaml")
    return Run.open(config.parent)


def logged(run, name):
    with (run.logs / "metrics.csv").open(newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["simclr", "byol"])
def test_a_recipe_makes_a_run_that_cannot_be_read_but_be_started_from(command, tiny, tmp_path, recipe):
    done = command("train.py", f"experiment={recipe}", *of_experiment(tiny), *STEPS)
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path / "runs" / recipe)
    metrics = run.metrics()
    assert metrics["objective"] == metrics["val/knn_score"]
    assert {"val/knn_recall_root", "val/knn_recall_vowel", "val/knn_recall_consonant", "epochs"} <= set(metrics)
    assert "val/score" not in metrics
    assert logged(run, "val/knn_score") == [pytest.approx(metrics["val/knn_score"], abs=1e-6)]
    assert len(logged(run, "train/loss")) == 1
    assert {"config.yaml", "provenance.yaml", "checkpoints", "logs"} <= {path.name for path in run.path.iterdir()}
    assert {"learning_curves.png", "misread.png", "index.html"} <= {path.name for path in run.report.iterdir()}
    assert "this run's features" in (run.report / "index.html").read_text(encoding="utf-8").replace("&#x27;", "'")
    for word in ("val/knn_score", "of nearest neighbors", "python train.py model.init_from="):
        assert word in done.stdout

    for script in ("scripts/evaluate.py", "scripts/export.py", "scripts/predict.py"):
        refused = command(script, str(run.path), *(["--data", str(tmp_path)] if "predict" in script else []))
        assert refused.returncode == 2
        (line,) = refused.stderr.strip().splitlines()
        assert "a pretraining run has features but no trained heads" in line
        assert f"model.init_from={run.path}" in line

    tuned = command("train.py", *tiny, *STEPS, f"model.init_from={run.path}", "data.label_fraction=0.3", "name=tuned")
    assert tuned.returncode == 0, tuned.stderr
    assert "model.init_from: the backbone of the pretraining" in tuned.stdout
    run = only_run(tmp_path / "runs" / "tuned")
    assert yaml.safe_load((run.path / "provenance.yaml").read_text())["init_from"]["loaded"] == ["backbone"]
    evaluated = command("scripts/evaluate.py", str(run.path))
    assert evaluated.returncode == 0, evaluated.stderr


def test_another_network_and_a_share_that_is_none_end_in_one_line_and_leave_no_run(command, tiny, tmp_path):
    done = command("train.py", *tiny, "data.label_fraction=0")
    assert done.returncode == 2
    assert done.stderr.strip() == "error: data.label_fraction: expected a share above 0, at most 1, got 0"
    done = command("train.py", *tiny, f"model.init_from={tmp_path}")
    assert done.returncode == 2
    assert done.stderr.strip() == f"error: {tmp_path}: not a run directory, it has no config.yaml"
    assert not list((tmp_path / "runs").glob("*/*"))


@pytest.mark.serial
def test_two_processes_pretrain_and_log_the_score_of_one(command, tiny, tmp_path):
    done = command(
        "train.py",
        "experiment=simclr",
        *of_experiment(tiny),
        *STEPS,
        "trainer=ddp_sim",
        "trainer.check_val_every_n_epoch=1",
    )
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path / "runs")
    # gathered from the ranks, against the one process that scored the best checkpoint in the end
    assert logged(run, "val/knn_score") == [pytest.approx(run.metrics()["val/knn_score"], abs=1e-6)]


@pytest.mark.serial
def test_a_pretraining_that_was_killed_goes_on_to_the_same_weights(command, tiny, tmp_path, train_py):
    options = [o for o in tiny if "limit_train" not in o and "max_epochs" not in o]
    options += ["experiment=byol", "trainer.max_epochs=4", "callbacks=none"]
    assert command("train.py", *options, "name=whole").returncode == 0
    process = subprocess.Popen(
        [sys.executable, str(train_py), *options, "name=cut"],
        env={**os.environ, "OKKHOR_RUNS": str(tmp_path / "runs")}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not list((tmp_path / "runs" / "cut").glob("*/checkpoints/last.ckpt")):
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    cut, whole = only_run(tmp_path / "runs" / "cut"), only_run(tmp_path / "runs" / "whole")
    assert not (cut.path / "metrics.json").exists()
    done = command("train.py", f"resume={cut.path}")
    assert done.returncode == 0, done.stderr
    ours, theirs = (torch.load(run.last, weights_only=True)["state_dict"] for run in (cut, whole))
    assert any(name.startswith("method.target.") for name in theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert cut.metrics()["objective"] == whole.metrics()["objective"]


@pytest.mark.parametrize("method", ["simclr", "byol"])
def test_stopped_within_an_epoch_it_goes_on_to_the_same_weights(compose, method, monkeypatch):
    from okkhor.errors import StoppedError

    config = compose(f"pretrain={method}", "aug=views", "data.workers=0")

    def started(name):
        run = Run.create(config.paths.runs, name)
        run.write_config(config)
        return run

    whole, cut, asked = started("whole"), started("cut"), {"again": False}
    fit(whole, config)
    monkeypatch.setattr(GracefulStop, "_agreed", lambda self, trainer: trainer.global_step >= 8 and not asked["again"])
    with pytest.raises(StoppedError, match="resume="):
        fit(cut, config)
    asked["again"] = True
    fit(cut, config)
    ours, theirs = (torch.load(run.last, weights_only=True)["state_dict"] for run in (cut, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert logged(cut, "val/knn_score") == logged(whole, "val/knn_score")
