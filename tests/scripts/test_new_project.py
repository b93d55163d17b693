"""scripts/new_project.py as a user types it, and what the copy can do: a real data set, tiny, trained and read."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TRAINING = (
    "data.raw_size=[16,16]", "data.size=[16,16]", "data.workers=0", "model.options.widths=[16,32,32,32]", "aug=none",
    "optimizer.lr=0.01", "trainer=cpu", "trainer.max_epochs=6", "export=onnx",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, str]:
    """A copy without the reference task, and what was said."""
    folder = tmp_path_factory.mktemp("projects") / "digits"
    done = run("digits", str(folder), "--without-bengali", "--title", "Digits of the Post")
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def run(*words: str) -> subprocess.CompletedProcess:
    script = Path(__file__).resolve().parents[2] / "scripts" / "new_project.py"
    # the person's own settings of git, such as signing, have no say; nor has a name that git would guess
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "COLUMNS": "200"}
    return subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True, env=os.environ | alone)


def within(folder: Path, *words: str) -> subprocess.CompletedProcess:
    """A Python command in the copy, with its own code first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OKKHOR_", "PYTEST_"))}
    environment = {**kept, "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_the_copy_is_a_repository_with_one_commit_and_a_name(made):
    folder, said = made
    assert f"{folder}: " in said
    assert "files of Digits of the Post, committed" in said
    assert git(folder, "rev-list", "--count", "HEAD") == "1\n"
    assert git(folder, "status", "--porcelain") == ""
    assert (folder / "README.md").read_text(encoding="utf-8").startswith("# Digits of the Post\n")
    assert (folder / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    assert os.access(folder / ".ci" / "run", os.X_OK)
    assert [path.name for path in folder.parent.iterdir()] == ["digits"]


def test_ruff_is_content_there(made):
    for words in (["check"], ["format", "--check"]):
        done = within(made[0], "-m", "ruff", *words, "--no-cache", ".")
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "the following arguments are required"),
        (("Digits", "{new}"), "lowercase letters and digits"),
        (("json", "{new}"), "standard library"),
        (("digits", "{full}"), "is not empty"),
        (("digits", "{new}", "--title", "a: b"), "--title 'a: b'"),
    ],
)
def test_a_mistake_is_one_line_and_makes_nothing(tmp_path, words, said):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    before = sorted(tmp_path.rglob("*"))
    done = run(*(word.format(new=tmp_path / "new", full=tmp_path / "full") for word in words))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_digits_are_trained_evaluated_and_read_in_the_copy(made, tmp_path):
    from sklearn.datasets import load_digits

    folder, digits = made[0], load_digits()
    paths = []
    for number, (image, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        paths.append(tmp_path / "digits" / str(digit) / f"{number}.png")
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.uint8(255 - image * 255 / 16)).save(paths[-1])
    runs = tmp_path / "runs"
    trained = within(folder, "train.py", f"data.dir={tmp_path / 'digits'}", f"paths.runs={runs}", *TRAINING)
    assert trained.returncode == 0, trained.stderr
    (path,) = (runs / "default").iterdir()
    metrics = json.loads((path / "metrics.json").read_text())
    assert metrics["val/recall_label"] > 0.9
    again = within(folder, "scripts/evaluate.py", str(path), "--json", str(tmp_path / "again.json"))
    assert again.returncode == 0, again.stderr
    assert json.loads((tmp_path / "again.json").read_text())["val/score"] == pytest.approx(metrics["val/score"])
    out = tmp_path / "predictions.csv"
    some = [str(one) for one in paths[:40]]
    predicted = within(folder, "scripts/predict.py", str(path / "bundle"), "--data", *some, "--out", str(out))
    assert predicted.returncode == 0, predicted.stderr
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert "grapheme" not in rows[0]
    right = [int(row["label_class"]) == int(digits.target[number]) for number, row in enumerate(rows)]
    assert np.mean(right) > 0.9


@pytest.mark.slow
def test_a_part_of_the_copys_own_tests_passes(made):
    dataset = "data/synthetic/test_dataset.py::test_labels_belong_to_the_combination"
    part = [f"tests/{name}" for name in ("test_heads.py", "test_labels.py", "test_runs.py", dataset)]
    done = within(made[0], "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-m", "not slow", *part)
    assert done.returncode == 0, done.stdout[-3000:]
