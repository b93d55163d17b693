"""A small data set of random pixels in the competition's layout, for the tests of store, folds and download."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from okkhor.heads import Head, Heads

HEADS = Heads([Head("root", "grapheme_root", 12, 2), Head("vowel", "vowel_diacritic", 4), Head("sign", "sign", 3)])
SIZE = (9, 13)


@dataclass
class Written:
    """What was written: the folder, its heads and image size, and the truth in the order of the image files."""

    folder: Path
    images: np.ndarray
    ids: list[str]
    labels: np.ndarray
    heads: Heads = HEADS
    size: tuple[int, int] = SIZE


def write_wide(path: Path, ids: Sequence[str], pixels: np.ndarray, **options) -> None:
    """pixels: uint8 (rows, pixels)."""
    columns = [pa.array(ids), *map(pa.array, np.ascontiguousarray(pixels.T))]
    pq.write_table(pa.table(columns, ["image_id", *map(str, range(pixels.shape[1]))]), path, **options)


@pytest.fixture
def written(tmp_path) -> Callable[..., Written]:
    """Write a data set: written(rows=(7, 5), size=(9, 13), name="data", test_rows=(), **options of write_table)."""

    def write(rows=(7, 5), size=SIZE, name="data", test_rows=(), seed=0, **options) -> Written:
        rng = np.random.default_rng(seed)
        folder = tmp_path / name
        folder.mkdir(parents=True)
        count = sum(rows)
        images = rng.integers(0, 256, (count, *size), dtype=np.uint8)
        ids = [f"Train_{i}" for i in range(count)]
        labels = np.stack([rng.integers(0, head.classes, count) for head in HEADS], axis=1)
        start = 0
        for k, n in enumerate(rows):
            part = slice(start, start + n)
            write_wide(folder / f"train_image_data_{k}.parquet", ids[part], images[part].reshape(n, -1), **options)
            start += n
        with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["image_id", *HEADS.columns, "grapheme"])
            for i in rng.permutation(count):  # lines need not be in the order of the images
                writer.writerow([ids[i], *labels[i], f"ক{i}"])
        for k, n in enumerate(test_rows):
            pixels = rng.integers(0, 256, (n, size[0] * size[1]), dtype=np.uint8)
            write_wide(folder / f"test_image_data_{k}.parquet", [f"Test_{k}_{i}" for i in range(n)], pixels)
        return Written(folder, images, ids, labels, size=size)

    return write


@pytest.fixture
def packed(tmp_path) -> Callable[..., Path]:
    """Write a store of random images: packed(count=420, seed=0, size=(137, 236), name="store") -> its folder."""
    from okkhor.data.layout import ImageWriter, write_description, write_index

    def write(count=420, seed=0, size=(137, 236), name="store") -> Path:
        rng = np.random.default_rng(seed)
        folder = tmp_path / name
        folder.mkdir()
        labels = {head.column: rng.integers(0, head.classes, count) for head in HEADS}
        write_index(folder, pa.table({"image_id": [f"Train_{i}" for i in range(count)], **labels}))
        with ImageWriter(folder, (count, *size)) as images:
            images.rows(rng.integers(0, 256, (count, *size), dtype=np.uint8))
        heads = [(head.column, head.classes) for head in HEADS]
        write_description(
            folder, key=f"{seed:012x}", kind="competition", split="train", images=images, heads=heads, sources=[]
        )
        return folder

    return write


@pytest.fixture
def bucket(monkeypatch, capfd):
    """A bucket on a local server, which the AWS variables point to."""
    import boto3
    from moto.server import ThreadedMotoServer

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        client = boto3.client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket="letters")
        yield client
    finally:
        server.stop()


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    """Stores that land in a home folder, and credentials looked for there, are the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("OKKHOR_CACHE", "KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
