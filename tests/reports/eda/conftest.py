"""Small data sets for the page that explores data: written as stores, without rendering anything."""

from collections.abc import Callable

import cv2
import numpy as np
import pyarrow as pa
import pytest

from okkhor.data.layout import ID, ImageWriter, Store, write_description, write_index
from okkhor.data.reading import StoredImages
from okkhor.heads import Head, Heads
from okkhor.reports.eda.section import DataSet
from okkhor.reports.naming import Naming


def drawing(rng: np.random.Generator, size: tuple[int, int] = (60, 90)) -> np.ndarray:
    """A few thick strokes on noisy paper."""
    image = np.full(size, 250, np.uint8)
    points = rng.integers([15, 12], [size[1] - 15, size[0] - 12], (7, 2)).astype(np.int32)
    cv2.polylines(image, [points], False, 30, 3)
    return (image - rng.integers(0, 4, size)).astype(np.uint8)


@pytest.fixture
def data_set(tmp_path) -> Callable[..., DataSet]:
    """data_set(images (N, H, W), labels (N, heads), classes, naming) -> what the sections take."""

    def make(images: np.ndarray, labels: np.ndarray, classes: list[int], naming: Naming | None = None) -> DataSet:
        labels = np.asarray(labels, np.int64)
        folder = tmp_path / "store"
        folder.mkdir()
        columns = [f"column{k}" for k in range(len(classes))]
        ids = [f"image{k}" for k in range(len(images))]
        write_index(folder, pa.table({ID: ids, **{c: labels[:, k] for k, c in enumerate(columns)}}))
        with ImageWriter(folder, images.shape) as writer:
            writer.rows(np.ascontiguousarray(images))
        heads = list(zip(columns, classes, strict=True))
        write_description(folder, key="0", kind="test", split="train", images=writer, heads=heads, sources=[])
        store = Store.open(folder)
        named = Heads(Head(f"head{k}", c, n, 2.0 if k == 0 else 1.0) for k, (c, n) in enumerate(heads))
        return DataSet(store, named, naming or Naming(), StoredImages(store), labels, folds=3)

    return make


@pytest.fixture
def drawings() -> np.ndarray:
    """Sixty different images, (60, 60, 90)."""
    rng = np.random.default_rng(0)
    return np.stack([drawing(rng) for _ in range(60)])
