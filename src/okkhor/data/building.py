"""Building a store once: in a place that can be written, under a lock, there whole or not at all."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from okkhor.data.layout import DESCRIPTION, FORMAT, Store
from okkhor.errors import InputError

BESIDE = ".okkhor"  # the folder of stores within a data folder
UNFINISHED = ".unfinished"

Advance = Callable[[float], None]


def key_of(identity: dict[str, Any]) -> str:
    """Twelve hex digits that change with anything that changes what a store would hold."""
    text = json.dumps({"format": FORMAT, **identity}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def stores_folder(beside: Path | None, name: str, cache_dir: str | Path | None = None) -> Path:
    """The folder in which store `name` is or shall be.

    `cache_dir`, or else $OKKHOR_CACHE, where one is given; otherwise beside the data, or in ~/.cache/okkhor where the
    data folder is remote (None) or cannot be written. Raises InputError when the place cannot be written either.
    """
    given = cache_dir or os.environ.get("OKKHOR_CACHE")
    if given:
        places = [Path(given).expanduser()]
    else:
        places = [beside / BESIDE] if beside else []
        places.append(Path.home() / ".cache" / "okkhor")
    for place in places:
        if (place / name / DESCRIPTION).is_file():
            return place
    for place in places:
        if _writable(place):
            return place
    raise InputError(f"{places[-1]}: cannot be written; give a folder for the packed images with data.cache_dir=")


def check_room(folder: Path, needed: int) -> None:
    """Raise InputError where fewer than `needed` bytes are free: better now than minutes later."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"{folder.parent}: the packed images need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; "
            "make room, or give another folder with data.cache_dir="
        )


def build_once(folder: Path, name: str, fill: Callable[[Path, Advance], None], *, progress: bool = True) -> Store:
    """Open the store `name` in `folder`; build it first where it is missing or damaged.

    fill: writes the store's files into the empty folder it is given, and reports the share done (which adds up to 1)
    as it goes. Only one process builds, the others wait for it. What an ended process left unfinished is removed
    first. Raises whatever `fill` raises, after removing what was written; OSError as an InputError.
    """
    target = folder / name
    if (store := _complete(target)) is not None:
        return store
    console = Console(stderr=True, quiet=not progress)
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        console.print(f"Another process is packing {target}; waiting for it")
        lock.acquire()
    try:
        if (store := _complete(target)) is not None:
            return store
        _sweep(folder, name)
        unfinished = folder / f"{name}{UNFINISHED}"
        unfinished.mkdir()
        try:
            with _bar(console) as bar:
                task = bar.add_task(f"Packing {name}", total=1.0)
                fill(unfinished, lambda share: bar.advance(task, share))
            if target.exists():
                shutil.rmtree(target)  # was damaged
            unfinished.rename(target)
        except OSError as error:
            raise InputError(f"{unfinished}: cannot be written ({error.strerror or error})") from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    finally:
        lock.release()
    return Store.open(target)


def _complete(target: Path) -> Store | None:
    if not (target / DESCRIPTION).exists():
        return None
    try:
        return Store.open(target)
    except InputError:
        return None


def _sweep(folder: Path, mine: str) -> None:
    """Remove what builders left that did not live to the end: their locks are free. `mine` is locked by us."""
    for leftover in folder.glob(f"*{UNFINISHED}"):
        name = leftover.name.removesuffix(UNFINISHED)
        if name == mine:
            shutil.rmtree(leftover)
            continue
        try:
            with FileLock(folder / f"{name}.lock", timeout=0):
                shutil.rmtree(leftover, ignore_errors=True)
        except Timeout:
            continue  # at work


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _bar(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=console.quiet)
