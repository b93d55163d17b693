"""What only real competition images can tell; OKKHOR_REAL_DATA names a folder with the competition's files."""

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from okkhor.data.folds import assign_folds
from okkhor.data.resize import ink_box, resize
from okkhor.data.store import competition_store
from okkhor.heads import Heads

FOLDER = os.environ.get("OKKHOR_REAL_DATA")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not FOLDER, reason="OKKHOR_REAL_DATA names no folder with the competition's files"),
]
HEADS = Heads.from_config(
    {
        "root": {"column": "grapheme_root", "classes": 168, "weight": 2},
        "vowel": {"column": "vowel_diacritic", "classes": 11},
        "consonant": {"column": "consonant_diacritic", "classes": 7},
    }
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return competition_store(FOLDER, HEADS, cache_dir=tmp_path_factory.mktemp("stores"), progress=False)


def test_store_equals_what_pyarrow_reads(store):
    file = pq.ParquetFile(sorted(Path(FOLDER).glob("train_image_data_*.parquet"))[0])
    for column in (0, 15_000, 32_331):
        expected = file.read(columns=[str(column)]).column(0).to_numpy()
        assert np.array_equal(store.images[: len(expected)].reshape(len(expected), -1)[:, column], expected)


def test_folds_hold_even_shares_of_every_common_class(store):
    folds = assign_folds(store.labels, 5, 0)
    for column in store.labels.T:
        for label in np.flatnonzero(np.bincount(column) >= 50):
            shares = np.bincount(folds[column == label], minlength=5) / (column == label).sum()
            assert abs(shares - 0.2).max() < 0.07


def test_cropped_images_are_filled_by_their_letter(store):
    rows = np.random.default_rng(0).choice(len(store), 500, replace=False)
    areas = []
    for row in rows:
        image = np.asarray(store.images[row])
        top, left, bottom, right = ink_box(image)
        areas.append((bottom - top) * (right - left) / image.size)
        assert resize(image, (40, 52), crop=True).std() > 5
    assert 0.1 < np.median(areas) < 0.6
