"""`scripts/evaluate.py` and `scripts/predict.py` on a trained run."""

import csv
import json

import pytest

from okkhor.runs import Run
from okkhor.training.fit import fit


@pytest.fixture
def trained(compose):
    config = compose()
    run = Run.create(config.paths.runs, "trained")
    run.write_config(config)
    fit(run, config)
    return run


@pytest.mark.slow
def test_evaluate_repeats_the_runs_own_score_and_scores_all_data(command, trained, tmp_path):
    # the tiny run validated on a few batches; over all its validation images scores may differ, so compare twice
    for part in ("val", "all"):
        done = command("scripts/evaluate.py", str(trained.path), f"data.split={part}", "--json", f"{part}.json")
        assert done.returncode == 0, done.stderr
        assert "recall root" in done.stdout
    val, everything = (json.loads((tmp_path / f"{part}.json").read_text()) for part in ("val", "all"))
    assert val["images"] < everything["images"] == 500
    assert 0 <= everything["test/score"] <= 1
    assert everything["test/images_seen"] + everything["test/images_unseen"] == 500
    assert "combinations never seen" in done.stdout
    again = command("scripts/evaluate.py", str(trained.path), "--json", "again.json")
    assert again.returncode == 0
    assert json.loads((tmp_path / "again.json").read_text())["val/score"] == val["val/score"]


@pytest.mark.slow
def test_evaluate_on_a_packed_store_equals_the_sources(command, trained, compose, tmp_path):
    from okkhor.training.build import build_data

    store = build_data(compose()).store.path
    for name, option in (("dir", []), ("store", [f"data.store={store}"])):
        done = command("scripts/evaluate.py", str(trained.path), "data.split=all", *option, "--json", f"{name}.json")
        assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "dir.json").read_text()) == json.loads((tmp_path / "store.json").read_text())


@pytest.mark.parametrize(
    ("option", "said"),
    [("data.split=some", "expected one of val, all, unseen"), ("optimizer.lr=1", "optimizer.lr=1: expected one of")],
)
def test_evaluate_refuses_what_it_does_not_know(command, trained, option, said):
    done = command("scripts/evaluate.py", str(trained.path), option)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_data_of_the_training_other_data_is_scored_as_a_whole(command, trained, compose, tmp_path):
    from okkhor.training.build import build_data

    store = build_data(compose()).store.path
    config = trained.config()
    config.data.dir = str(tmp_path / "gone")
    trained.write_config(config)
    done = command("scripts/evaluate.py", str(trained.path), f"data.store={store}", "--json", "found.json")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("no score on unseen combinations: the data of the training is not here")
    assert "test/score_seen" not in json.loads((tmp_path / "found.json").read_text())
    done = command("scripts/evaluate.py", str(trained.path), f"data.store={store}", "data.split=unseen")
    assert done.returncode == 2


@pytest.mark.slow
def test_a_report_is_written_again_and_one_of_other_images_elsewhere(command, trained, tmp_path):
    for path in trained.report.iterdir():
        path.unlink()
    done = command("scripts/evaluate.py", str(trained.path), "--report", "data.batch_size=64")
    assert done.returncode == 0, done.stderr
    written = {path.name for path in trained.report.iterdir()}
    assert {"index.html", "gradcam.png", "calibration.png", "predictions.parquet", "learning_curves.png"} <= written
    before = {path: path.read_bytes() for path in trained.report.iterdir()}
    done = command("scripts/evaluate.py", str(trained.path), "--report", "data.split=all")
    assert done.returncode == 0, done.stderr
    other = tmp_path / "reports" / "evaluate" / trained.id
    assert {path.name for path in other.iterdir()} == written - {"learning_curves.png"}
    assert "500 images, all of" in (other / "index.html").read_text(encoding="utf-8")
    assert {path: path.read_bytes() for path in trained.report.iterdir()} == before


def test_predict_answers_every_row_of_test_csv_in_its_order(command, trained, synthetic_dir, tmp_path):
    done = command("scripts/predict.py", str(trained.path), "--data", str(synthetic_dir))
    assert done.returncode == 0, done.stderr
    with (tmp_path / "submission.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (synthetic_dir / "test.csv").open() as file:
        wanted = list(csv.DictReader(file))
    assert [row["row_id"] for row in rows] == [row["row_id"] for row in wanted]
    classes = {"grapheme_root": 168, "vowel_diacritic": 11, "consonant_diacritic": 7}
    for row, asked in zip(rows, wanted, strict=True):
        assert 0 <= int(row["target"]) < classes[asked["component"]]


def test_predict_without_test_files_is_refused(command, trained, tmp_path):
    (tmp_path / "empty").mkdir()
    done = command("scripts/predict.py", str(trained.path), "--data", str(tmp_path / "empty"))
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "submission.csv").exists()


def test_damaged_checkpoint_is_refused(command, trained):
    trained.best.write_bytes(trained.best.read_bytes()[:1000])
    done = command("scripts/evaluate.py", str(trained.path))
    assert done.returncode == 2
    assert "best.ckpt: not a checkpoint" in done.stderr
