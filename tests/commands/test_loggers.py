"""Loggers of a whole run: what they write, and that it goes on after a resume."""

import csv

import pytest

from okkhor.errors import InputError
from okkhor.runs import Run
from okkhor.training.fit import fit
from okkhor.training.loggers import ContinuedCSVLogger, build_loggers


def test_wandb_offline_and_tensorboard_get_metrics_and_pictures(compose, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("WANDB_SILENT", "true")
    config = compose("logger=many", "logger.wandb.offline=true", "callbacks.report=true")
    run = Run.create(config.paths.runs, "logged")
    run.write_config(config)
    fit(run, config)
    events = EventAccumulator(str(run.logs / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    assert {"val/score", "val/recall_root", "train/loss"} <= set(events.Tags()["scalars"])
    assert len(events.Scalars("val/score")) == 2
    assert {"report/misread", "report/recall", "report/learning_curves"} <= set(events.Tags()["images"])
    (offline,) = (run.logs / "wandb").glob("offline-run-*")
    assert offline.name.endswith(run.id)
    assert list(offline.glob("*.wandb"))
    assert list(offline.glob("files/media/images/report/misread*.png"))


def test_csv_goes_on_after_a_resume_without_the_rows_that_come_again(tmp_path):
    first = ContinuedCSVLogger(tmp_path, None)
    for step in (10, 20, 30):
        first.log_metrics({"val/score": step / 100}, step)
    first.save()
    second = ContinuedCSVLogger(tmp_path, 20)
    second.log_metrics({"val/score": 0.5, "lr": 1.0}, 20)
    second.save()
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["val/score"]) for row in rows] == [("10", "0.1"), ("20", "0.5")]


def test_unknown_logger_is_refused_by_key(tmp_path):
    with pytest.raises(InputError, match=r"logger.comet.*expected csv"):
        build_loggers(Run(tmp_path), {"comet": {}}, None)
