"""The store: a folder with all images of a data set as one memory-mapped array, and what is known about each.

    images.npy      uint8 (N, H, W), NumPy's own format, rows in the order of the source files
    index.parquet   N rows: image_id, the label columns (int64), grapheme (text) where the source has it
    store.json      format, kind, split, shape, label columns with their numbers of classes, class names, identity
                    of the sources, bytes and CRC-32 of the two other files; written last

Nothing in it points outside, so the folder can be copied to another machine and opened there.
"""

import json
import math
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from okkhor.errors import InputError
from okkhor.heads import Heads

FORMAT = 1
IMAGES, INDEX, DESCRIPTION = "images.npy", "index.parquet", "store.json"
ID, TEXT = "image_id", "grapheme"


@dataclass(frozen=True)
class Store:
    """An open store, read only. Cheap to open: nothing is read but the description.

    path: its folder; key: identity of the sources it was made from; columns: the label columns.
    """

    path: Path
    description: dict[str, Any] = field(repr=False)

    @classmethod
    def open(cls, path: str | Path) -> "Store":
        """Open a store, with or without its sources.

        Raises InputError naming the file that is missing, of another format or not of the length it was written with.
        """
        if "://" in str(path):
            raise InputError(
                f"data.store={path}: a store is read from a folder; jobs of launcher=sagemaker get theirs from "
                "launcher.data=s3://bucket/folder"
            )
        path = Path(path).expanduser()
        described = path / DESCRIPTION
        try:
            description = json.loads(described.read_text(encoding="utf-8"))
            found, sizes = description["format"], {name: file["bytes"] for name, file in description["files"].items()}
        except FileNotFoundError as error:
            raise InputError(
                f"{path}: not a store, it has no {DESCRIPTION}; build one with scripts/prepare.py store"
            ) from error
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise InputError(
                f"{described}: not the description of a store; delete {path} and build it again"
            ) from error
        if found != FORMAT:
            raise InputError(
                f"{described}: format {found}, this version reads {FORMAT}; delete {path} and build it again"
            )
        for name, expected in sizes.items():
            actual = (path / name).stat().st_size if (path / name).is_file() else None
            if actual != expected:
                raise InputError(
                    f"{path / name}: {'missing' if actual is None else f'{actual} bytes'}, expected {expected} bytes; "
                    f"delete {path} and build it again"
                )
        return cls(path, description)

    @property
    def key(self) -> str:
        return self.description["key"]

    @property
    def columns(self) -> list[str]:
        return [head["column"] for head in self.description["heads"]]

    @property
    def class_names(self) -> list[str] | None:
        """The names of the classes of a data set of class folders, None elsewhere."""
        return self.description["class_names"]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        _, height, width = self.description["shape"]
        return height, width

    def __len__(self) -> int:
        return self.description["shape"][0]

    @cached_property
    def images(self) -> "MappedImages":
        """uint8 (N, H, W), mapped: a row is read when it is used, and all processes share what was read."""
        images = MappedImages.open(self.path / IMAGES)
        if images.dtype != np.uint8 or list(images.shape) != self.description["shape"]:
            raise InputError(
                f"{self.path / IMAGES}: {images.dtype} {images.shape}, not what {DESCRIPTION} says; build it again"
            )
        return images

    @cached_property
    def image_ids(self) -> list[str]:
        return self._column(ID).to_pylist()

    @cached_property
    def labels(self) -> np.ndarray | None:
        """int64 (N, heads) in the order of `columns`, None where the data has no labels."""
        if not self.columns:
            return None
        return np.stack([self._column(column).to_numpy() for column in self.columns], axis=1)

    @cached_property
    def graphemes(self) -> list[str] | None:
        """The text of each image, None where the source has none."""
        if TEXT not in pq.read_schema(self.path / INDEX).names:
            return None
        return self._column(TEXT).to_pylist()

    def check_heads(self, heads: Heads) -> None:
        """Raise InputError naming the head for which this store has no labels, or labels of other classes."""
        classes = {head["column"]: head["classes"] for head in self.description["heads"]}
        for head in heads:
            if classes.get(head.column) != head.classes:
                has = f"{classes[head.column]} classes" if head.column in classes else "no such labels"
                raise InputError(
                    f"data.heads.{head.name}: expected {head.classes} classes in column {head.column!r}, "
                    f"but the store {self.path} has {has}"
                )
        if heads.columns != self.columns:
            raise InputError(
                f"data.heads: expected the label columns of {self.path} in its order: {', '.join(self.columns)}"
            )

    def verify(self) -> None:
        """Read everything and compare checksums. Raises InputError naming the file that was changed."""
        for name, expected in self.description["files"].items():
            if _crc32(self.path / name) != expected["crc32"]:
                raise InputError(
                    f"{self.path / name}: changed since it was built; delete {self.path} and build it again"
                )

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "description": self.description}  # what was read is read again, not sent

    def _column(self, name: str) -> pa.ChunkedArray:
        return pq.read_table(self.path / INDEX, columns=[name]).column(0)


class MappedImages(np.memmap):
    """A memory map that goes to another process as the path of its file, where NumPy would send all of the content."""

    _source: Path | None = None  # of the whole array only; parts of it are pickled as they are

    @classmethod
    def open(cls, path: Path) -> "MappedImages":
        images = np.load(path, mmap_mode="r").view(cls)
        images._source = path
        return images

    def __reduce__(self) -> str | tuple[Any, ...]:
        return (MappedImages.open, (self._source,)) if self._source else np.asarray(self).__reduce__()


class ImageWriter:
    """Writes images.npy from front to back, so that a full disk is an error and not a crash in mapped memory.

    shape: (N, H, W), known beforehand. Use as a context; `rows` takes uint8 arrays of any number of images.
    """

    def __init__(self, folder: Path, shape: tuple[int, int, int]) -> None:
        self.path, self.shape = folder / IMAGES, shape
        self.crc32 = 0
        self._file: BinaryIO
        self._beside = ThreadPoolExecutor(1)

    def __enter__(self) -> "ImageWriter":
        self._file = self.path.open("wb")
        header = {"descr": "|u1", "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(self._file, header)
        self._file.flush()
        self.crc32 = _crc32(self.path)
        self._data_from = self._file.tell()
        return self

    def rows(self, images: np.ndarray) -> None:
        """Append uint8 images, contiguous, (n, H, W) or (n, H * W)."""
        assert images.dtype == np.uint8
        checksum = self._beside.submit(zlib.crc32, images, self.crc32)  # both leave the interpreter free
        self._file.write(images)
        self.crc32 = checksum.result()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        written = self._file.tell() - self._data_from
        self._file.close()
        self._beside.shutdown()
        if kind is None:
            assert written == math.prod(self.shape), (written, self.shape)


def write_index(folder: Path, index: pa.Table) -> None:
    pq.write_table(index, folder / INDEX)


def write_description(
    folder: Path,
    *,
    key: str,
    kind: str,
    split: str,
    images: ImageWriter,
    heads: Sequence[tuple[str, int]],
    class_names: list[str] | None = None,
    sources: list[dict[str, Any]],
) -> None:
    """Describe and so complete a store. heads: (label column, classes) in order."""
    description = {
        "format": FORMAT,
        "kind": kind,
        "split": split,
        "key": key,
        "shape": list(images.shape),
        "heads": [{"column": column, "classes": classes} for column, classes in heads],
        "class_names": class_names,
        "files": {
            IMAGES: {"bytes": images.path.stat().st_size, "crc32": images.crc32},
            INDEX: {"bytes": (folder / INDEX).stat().st_size, "crc32": _crc32(folder / INDEX)},
        },
        "sources": sources,
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _crc32(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            value = zlib.crc32(piece, value)
    return value
