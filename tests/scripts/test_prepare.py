"""scripts/prepare.py as a user types it."""

import numpy as np
import pytest
from PIL import Image

from okkhor.data.layout import Store


@pytest.fixture
def prepare(command, tmp_path):
    def run(*words: str):
        return command("scripts/prepare.py", *words, HOME=str(tmp_path / "home"), COLUMNS="500")

    return run


def said(result, name: str) -> str:
    """The value of one line of the result table."""
    (line,) = [line for line in result.stdout.splitlines() if line.split()[:1] == [name]]
    return line.split(maxsplit=1)[1].strip()


def test_store_then_folds_of_it(prepare, synthetic_dir, tmp_path):
    built = prepare("store", str(synthetic_dir), "--cache-dir", str(tmp_path / "stores"))
    assert built.returncode == 0, built.stderr
    assert said(built, "images") == "500"
    assert said(built, "size") == "137 × 236"
    store = Store.open(said(built, "store"))
    assert store.path.parent == tmp_path / "stores"
    assert store.labels.shape == (500, 3)
    again = prepare("store", str(store.path), "--verify")
    assert said(again, "store") == str(store.path)
    folded = prepare("folds", str(store.path), "--folds", "4", "--seed", "2")
    assert folded.returncode == 0, folded.stderr
    assert (store.path / "train_folds_4_seed2.csv").is_file()
    assert said(folded, "folds") == str(store.path / "train_folds_4_seed2.csv")
    assert sum(int(count) for count in said(folded, "images").split(",")) == 500


def test_class_folders(prepare, tmp_path):
    for name in ("daisy", "rose"):
        (tmp_path / "flowers" / name).mkdir(parents=True)
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "flowers" / name / "1.png")
    built = prepare("store", str(tmp_path / "flowers"), "--data", "image_folder", "--size", "24", "32")
    assert built.returncode == 0, built.stderr
    assert Store.open(said(built, "store")).size == (24, 32)


def test_synthetic_with_a_contact_sheet(prepare, tmp_path):
    sheet = tmp_path / "reports" / "synthetic.png"
    words = ["--out", str(tmp_path / "made"), "--count", "64", "--seed", "1", "--contact-sheet", str(sheet)]
    made = prepare("synthetic", *words)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "made" / "train_image_data_0.parquet").is_file()
    assert np.asarray(Image.open(sheet)).std() > 10


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required"),
        (["pack"], "invalid choice: 'pack'"),
        (["store"], "data_dir"),
        (["store", "nowhere", "--colour"], "--colour"),
        (["store", "nowhere"], "nowhere: no such folder"),
        (["store", ".", "--data", "flowers"], "expected one of bengali, image_folder"),
        (["folds", "nowhere", "--folds", "five"], "invalid int value: 'five'"),
        (["download", "data"], "kaggle"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(prepare, words, said):
    result = prepare(*words)
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert said in result.stderr


def test_help_of_every_command(prepare):
    assert "download" in prepare("--help").stdout
    for name in ("synthetic", "store", "folds", "download"):
        result = prepare(name, "--help")
        assert result.returncode == 0
        assert name in result.stdout
