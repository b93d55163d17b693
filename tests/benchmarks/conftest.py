"""Images of random pixels in the competition's layout, small enough to measure in a blink."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from okkhor.benchmarks.setting import Setting
from okkhor.heads import Head, Heads


@dataclass
class Wide:
    """A folder with one image file and its labels, and what is in them."""

    folder: Path
    images: np.ndarray
    labels: np.ndarray
    heads: Heads
    size: tuple[int, int]


@pytest.fixture
def wide(tmp_path) -> Wide:
    heads = Heads([Head("root", "grapheme_root", 5, 2), Head("vowel", "vowel_diacritic", 3), Head("sign", "sign", 2)])
    size, rng = (8, 12), np.random.default_rng(0)
    images = rng.integers(0, 256, (40, *size), dtype=np.uint8)
    labels = np.stack([rng.integers(0, head.classes, len(images)) for head in heads], 1)
    ids = pa.array([f"Train_{i}" for i in range(len(images))])
    folder = tmp_path / "wide"
    folder.mkdir()
    pixels = images.reshape(len(images), -1)
    names = ["image_id", *map(str, range(pixels.shape[1]))]
    pq.write_table(pa.table([ids, *pixels.T.copy()], names), folder / "train_image_data_0.parquet")
    csv.write_csv(pa.table([ids, *labels.T.copy()], ["image_id", *heads.columns]), folder / "train.csv")
    return Wide(folder, images, labels, heads, size)


@pytest.fixture
def setting(train_py, tmp_path) -> Setting:
    """One short round over as few images as there can be."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Setting(train_py.parent, scratch, rows=64, rounds=1, seconds=0.01, steps=2)
