"""A folder of class folders as a store: any image classification with one head.

    flowers/daisy/1.jpg, flowers/daisy/more/2.png, flowers/rose/3.webp …   a folder a class, nested as you like

Images are made gray, scaled to fit and padded with paper white, once; the image ids are their paths in the folder.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from okkhor.data.building import Advance, build_once, check_room, key_of, stores_folder
from okkhor.data.gray import fitted, gray
from okkhor.data.layout import ID, ImageWriter, Store, write_description, write_index
from okkhor.errors import InputError

COLUMN = "label"
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm"})


def image_folder_store(
    data_dir: str | Path, *, size: tuple[int, int], cache_dir: str | Path | None = None, progress: bool = True
) -> tuple[Store, list[str]]:
    """Open the store of a folder of class folders, and the names of its classes, sorted; build it where there is none.

    size: height and width to which images are scaled and padded; cache_dir: see `stores_folder`. Raises InputError
    where there are fewer than two classes, a class without images, or an image that cannot be read.
    """
    if "://" in str(data_dir):
        raise InputError(f"data.dir={data_dir}: class folders are read from a local folder; copy them to one")
    root = Path(data_dir).expanduser().resolve()
    found = _find(root)
    names = [name for name, _ in found]
    files = [(path, label) for label, (_, paths) in enumerate(found) for path in paths]
    height, width = size
    digest = hashlib.sha256()
    for path, _ in files:
        status = path.stat()
        digest.update(f"{path.relative_to(root).as_posix()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    sources = [{"name": "*", "files": len(files), "sha256_of_listing": digest.hexdigest()}]
    key = key_of({"kind": "image_folder", "size": [height, width], "classes": names, "sources": sources})
    name = f"images-{key}"

    def fill(folder: Path, advance: Advance) -> None:
        check_room(folder, len(files) * height * width)
        ids = [path.relative_to(root).as_posix() for path, _ in files]
        write_index(folder, pa.table({ID: ids, COLUMN: pa.array([label for _, label in files], pa.int64())}))
        with ImageWriter(folder, (len(files), height, width)) as images:
            for path, _ in files:
                images.rows(fitted(_gray(path), (height, width)))
                advance(1 / len(files))
        write_description(
            folder,
            key=key,
            kind="image_folder",
            split="train",
            images=images,
            heads=[(COLUMN, len(names))],
            class_names=names,
            sources=sources,
        )

    folder = stores_folder(root, name, cache_dir)
    return build_once(folder, name, fill, progress=progress), names


def _find(root: Path) -> list[tuple[str, list[Path]]]:
    """Every class folder's name with its images, both sorted. Hidden folders are no classes."""
    if not root.is_dir():
        raise InputError(f"data.dir={root}: no such folder; expected one that holds a folder of images a class")
    classes = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise InputError(f"data.dir={root}: {len(classes)} class folders; expected at least 2, each with images")
    found = [(folder.name, sorted(_images(folder))) for folder in classes]
    for name, paths in found:
        if not paths:
            raise InputError(f"{root / name}: no image in this class folder; expected {', '.join(sorted(SUFFIXES))}")
    return found


def _images(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if path.suffix.lower() in SUFFIXES and path.is_file() and not any(p.startswith(".") for p in inside.parts):
            yield path


def _gray(path: Path) -> np.ndarray:
    """uint8 (H, W) of any image, turned upright; what is transparent shows paper."""
    try:
        with Image.open(path) as image:
            return gray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot be read as an image ({error}); remove or replace it") from error
