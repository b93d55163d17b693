"""A synthetic data set in exactly the competition's format (https://www.kaggle.com/c/bengaliai-cv19/data)."""

import csv
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from okkhor.data.synthetic.fonts import Typeface, find_typefaces
from okkhor.data.synthetic.pool import Part, render_parts, usable_cores
from okkhor.data.synthetic.render import SIZE, TEST, TRAIN, Renderer
from okkhor.errors import InputError
from okkhor.labels import CLASS_MAP, COLUMNS

LEAST = 64  # training images: fewer cannot be split over folds
SETTINGS = "synthetic.json"
RENDERER = 2  # raise it when the same seed gives other images than before
FEW = 1500  # below this many images a worker, starting it costs more than it saves
COMPONENTS = sorted(COLUMNS)  # in this order test.csv lists the three of an image


def render_dataset(
    out_dir: str | Path,
    *,
    count: int,
    seed: int,
    fonts: str | Path | None = None,
    workers: int | None = None,
    test_count: int = 36,
    files: int = 4,
    progress: bool = True,
) -> Path:
    """Render `count` training images and `test_count` test images into the folder `out_dir`, and return it.

    fonts: a folder of fonts besides those of the pip packages. workers: processes, by default one a core; the images do
    not depend on their number. files: into how many the images are split, four as in the competition; each costs most
    of a second, so a small set for a test is quicker in one. Image i follows from (seed, i), so a larger count begins
    with the images of a smaller one.
    The folder appears only when it is complete. If it is there with the same settings nothing is done.

    Raises InputError for a count too small, a folder of fonts without fonts, or an `out_dir` that holds something else.
    """
    out_dir = Path(out_dir)
    least = {"count": LEAST, "test_count": max(files, 1), "files": 1, "seed": 0}
    settings: dict[str, Any] = {"count": count, "test_count": test_count, "files": files, "seed": seed}
    for key, value in settings.items():
        if value < least[key]:
            raise InputError(f"{key}: expected a whole number of at least {least[key]}, got {value}")
    settings["renderer"] = RENDERER
    settings["typefaces"] = _identify(find_typefaces(fonts))
    if out_dir.is_dir() and any(out_dir.iterdir()):
        _check_same(out_dir, settings)
        return out_dir
    if out_dir.exists() and not out_dir.is_dir():
        raise InputError(f"{out_dir}: is a file; expected a folder to write the synthetic data into")
    parent = out_dir.resolve().parent
    parent.mkdir(parents=True, exist_ok=True)
    with FileLock(parent / f".{out_dir.name}.lock"):  # two runs that start together render once
        if out_dir.is_dir() and any(out_dir.iterdir()):
            _check_same(out_dir, settings)
            return out_dir
        for stale in parent.glob(f".{out_dir.name}.part-*"):  # of a process that was killed: its lock is gone
            shutil.rmtree(stale)
        folder = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.part-", dir=parent))
        try:
            folder.chmod(0o777 & ~_umask())
            _render_into(folder, settings, fonts, workers, progress)
            folder.replace(out_dir)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return out_dir


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _identify(typefaces: list[Typeface]) -> dict[str, str]:
    """Name and content of each typeface."""
    return {face.name: hashlib.sha256(face.path.read_bytes()).hexdigest()[:16] for face in typefaces}


def _check_same(out_dir: Path, settings: dict[str, Any]) -> None:
    try:
        found = json.loads((out_dir / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(
            f"{out_dir}: holds something else than synthetic data; give an empty or a new folder"
        ) from None
    for key, value in settings.items():
        if found.get(key) != value:
            shown = "" if key == "typefaces" else f" ({found.get(key)}, now {value})"
            raise InputError(f"{out_dir}: was rendered with another {key}{shown}; give a new folder or remove this one")


def _render_into(
    folder: Path, settings: dict[str, Any], fonts: str | Path | None, workers: int | None, progress: bool
) -> None:
    count, test_count, seed, files = (settings[key] for key in ("count", "test_count", "seed", "files"))
    writers = usable_cores() if workers is None else max(1, workers)
    workers = max(1, min(writers, count // FEW)) if workers is None else workers
    parts, ids = {}, {}
    for stream, name, total in ((TRAIN, "train", count), (TEST, "test", test_count)):
        for k, rows in enumerate(np.array_split(np.arange(total), files)):
            file = f"{name}_image_data_{k}"
            parts[file] = Part(str(folder / f"{file}.pixels"), stream, int(rows[0]), len(rows))
            ids[file] = [f"{name.capitalize()}_{row}" for row in rows]

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), disable=not progress) as bar:
        task = bar.add_task("Rendering graphemes", total=count + test_count)
        where = None if fonts is None else str(Path(fonts).resolve())
        done = lambda images: bar.advance(task, images)  # noqa: E731  a name keeps the next line readable
        render_parts(list(parts.values()), seed=seed, fonts=where, workers=workers, advance=done)
        task = bar.add_task("Writing Parquet", total=len(parts))
        with ThreadPoolExecutor(min(writers, files)) as pool:
            for _ in pool.map(lambda file: _write_wide(folder / f"{file}.parquet", parts[file], ids[file]), parts):
                bar.advance(task)

    renderer = Renderer(seed, fonts)
    shown = [renderer.grapheme(index) for index in range(count)]
    rows = ([f"Train_{i}", *renderer.labels[g], renderer.texts[g]] for i, g in enumerate(shown))
    _write_csv(folder / "train.csv", ["image_id", *COLUMNS, "grapheme"], rows)
    tests = [(f"Test_{i}_{c}", f"Test_{i}", c) for i in range(test_count) for c in COMPONENTS]
    _write_csv(folder / "test.csv", ["row_id", "image_id", "component"], tests)
    _write_csv(folder / "sample_submission.csv", ["row_id", "target"], ((row, 0) for row, _, _ in tests))
    shutil.copyfile(CLASS_MAP, folder / "class_map.csv")
    (folder / SETTINGS).write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_wide(path: Path, part: Part, ids: list[str]) -> None:
    """One row group of image_id and a uint8 column a pixel, from the mapped file, which is removed."""
    pixels = part.map("r")
    columns = [
        pa.array(ids),
        *(pa.Array.from_buffers(pa.uint8(), len(ids), [None, pa.py_buffer(row)]) for row in pixels),
    ]
    names = ["image_id", *map(str, range(SIZE[0] * SIZE[1]))]
    table = pa.Table.from_arrays(columns, names=names)
    # with 32,332 columns, statistics and a second schema make the footer slow; few rows do not repay a dictionary
    compact = {"write_statistics": False, "store_schema": False, "use_dictionary": len(ids) > 256}
    pq.write_table(table, path, row_group_size=len(ids), compression="snappy", **compact)
    del table, columns, pixels
    Path(part.path).unlink()


def _write_csv(path: Path, header: list[str], rows: Iterable[Iterable[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
