"""The rendered data set: the competition's format, determinism, idempotence, errors."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from okkhor.data.synthetic import render_dataset
from okkhor.data.synthetic.render import Renderer
from okkhor.errors import InputError
from okkhor.labels import CLASS_MAP, read_class_map, read_graphemes

PIXELS = [str(k) for k in range(137 * 236)]


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def images_of(folder, split, files):
    ids, images = [], []
    for k in range(files):
        table = pq.read_table(folder / f"{split}_image_data_{k}.parquet")
        ids += table["image_id"].to_pylist()
        images.append(np.stack([column.to_numpy() for column in table.columns[1:]], axis=1))
    return ids, np.concatenate(images)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return render_dataset(
        tmp_path_factory.mktemp("data") / "set", count=70, seed=3, test_count=5, files=2, progress=False
    )


@pytest.fixture(scope="module")
def train(data):
    return images_of(data, "train", 2)


def test_files_are_those_of_the_competition(data):
    wide = {f"{split}_image_data_{k}.parquet" for split in ("train", "test") for k in range(2)}
    others = {"train.csv", "test.csv", "class_map.csv", "sample_submission.csv", "synthetic.json"}
    assert {path.name for path in data.iterdir()} == wide | others
    assert (data / "class_map.csv").read_bytes() == CLASS_MAP.read_bytes()


def test_wide_parquet_has_the_columns_types_and_one_row_group_of_the_competition(data):
    schema = pq.read_schema(data / "train_image_data_0.parquet")
    assert schema.names == ["image_id", *PIXELS]
    assert schema.types == [pa.string()] + [pa.uint8()] * len(PIXELS)
    assert pq.ParquetFile(data / "train_image_data_0.parquet").num_row_groups == 1


def test_images_are_those_that_seed_and_number_give(train):
    ids, images = train
    assert ids == [f"Train_{i}" for i in range(70)]
    renderer = Renderer(3)
    for index in (0, 34, 35, 69):
        np.testing.assert_array_equal(images[index].reshape(137, 236), renderer.image(index))


def test_labels_belong_to_the_grapheme(data):
    labels = read_class_map()
    rows = rows_of(data / "train.csv")
    assert list(rows[0]) == ["image_id", "grapheme_root", "vowel_diacritic", "consonant_diacritic", "grapheme"]
    for row in rows:
        found = tuple(int(row[c]) for c in ("grapheme_root", "vowel_diacritic", "consonant_diacritic"))
        assert found == labels.decompose(row["grapheme"])


def test_test_files_have_other_images_and_three_rows_each(data, train):
    ids, images = images_of(data, "test", 2)
    assert ids == [f"Test_{i}" for i in range(5)]
    rows = rows_of(data / "test.csv")
    assert [row["row_id"] for row in rows[:3]] == [
        "Test_0_consonant_diacritic",
        "Test_0_grapheme_root",
        "Test_0_vowel_diacritic",
    ]
    assert Counter(row["image_id"] for row in rows) == dict.fromkeys(ids, 3)
    assert [row["row_id"] for row in rows_of(data / "sample_submission.csv")] == [row["row_id"] for row in rows]
    assert not {image.tobytes() for image in images} & {image.tobytes() for image in train[1]}


def test_graphemes_come_equally_often():
    renderer = Renderer(0)
    texts, _ = read_graphemes()
    counts = Counter(renderer.grapheme(index) for index in range(2 * len(texts)))
    assert set(counts) == set(range(len(texts)))
    assert set(counts.values()) == {2}


def test_neither_workers_nor_count_nor_files_change_an_image(tmp_path, data, train):
    other = render_dataset(tmp_path / "set", count=90, seed=3, test_count=1, workers=2, files=1, progress=False)
    ids, images = images_of(other, "train", 1)
    assert ids == [f"Train_{i}" for i in range(90)]
    np.testing.assert_array_equal(images[:70], train[1])
    assert rows_of(other / "train.csv")[:70] == rows_of(data / "train.csv")


def test_another_seed_gives_other_images():
    first, second = Renderer(3), Renderer(4)
    assert not np.array_equal(first.image(0), second.image(0))
    assert [first.grapheme(i) for i in range(50)] != [second.grapheme(i) for i in range(50)]


def test_the_same_call_again_touches_nothing(data):
    before = {path.name: path.stat().st_mtime_ns for path in data.iterdir()}
    assert render_dataset(data, count=70, seed=3, test_count=5, files=2, progress=False) == data
    assert {path.name: path.stat().st_mtime_ns for path in data.iterdir()} == before


def test_other_settings_for_the_same_folder_are_refused(data):
    with pytest.raises(InputError, match=r"another seed \(3, now 4\)"):
        render_dataset(data, count=70, seed=4, test_count=5, files=2)
    with pytest.raises(InputError, match=r"another count \(70, now 71\)"):
        render_dataset(data, count=71, seed=3, test_count=5, files=2)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(InputError, match="something else than synthetic data"):
        render_dataset(tmp_path, count=64, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"count": 63}, "count: expected a whole number of at least 64"),
        ({"test_count": 3}, "test_count: expected a whole number of at least 4"),
        ({"seed": -1}, "seed: expected a whole number of at least 0"),
        ({"files": 0}, "files: expected a whole number of at least 1"),
        ({"fonts": "no/such/folder"}, "data.fonts: no/such/folder is not a folder"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(tmp_path, change, says):
    with pytest.raises(InputError, match=says):
        render_dataset(tmp_path / "set", **{"count": 64, "seed": 0, **change})
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_no_data_set(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("okkhor.data.synthetic.dataset._write_wide", fail)
    with pytest.raises(OSError, match="disk full"):
        render_dataset(tmp_path / "set", count=64, seed=0, progress=False)
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == []


def test_leftovers_of_a_killed_process_are_cleared(tmp_path):
    leftover = tmp_path / ".set.part-killed"
    leftover.mkdir()
    (leftover / "train_image_data_0.pixels").write_bytes(b"0")
    render_dataset(tmp_path / "set", count=64, seed=0, test_count=1, files=1, progress=False)
    assert not leftover.exists()


def test_a_worker_that_dies_is_reported_and_nothing_stays(tmp_path, monkeypatch):
    monkeypatch.setattr("okkhor.data.synthetic.pool.sys.executable", shutil.which("false"))
    with pytest.raises((RuntimeError, BrokenPipeError)):
        render_dataset(tmp_path / "set", count=64, seed=0, workers=2, progress=False)
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == []


def test_settings_are_recorded(data):
    settings = json.loads((data / "synthetic.json").read_text(encoding="utf-8"))
    assert settings["count"] == 70
    assert settings["seed"] == 3
    assert any("HindSiliguri" in name for name in settings["typefaces"])


def test_rendering_needs_no_torch():
    code = "import sys, okkhor.data.synthetic; sys.exit('torch' in sys.modules or 'pytorch_lightning' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0
