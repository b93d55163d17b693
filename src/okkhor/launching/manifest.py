"""A sweep's folder: claimed by one process, with sweep.yaml, which says how the sweep goes on after a kill."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from okkhor.atomic import write_atomically
from okkhor.errors import InputError, StoppedError
from okkhor.launching.opening import MANIFEST
from okkhor.launching.sweeping import SweepLauncher
from okkhor.runs import COMMAND, Run, typed_command

LOCK = ".lock"


@contextmanager
def sweep_folder(launcher: SweepLauncher, typed: Sequence[str], **kept: Any) -> Iterator[dict[str, Any]]:
    """Hold the sweep's folder while the sweep runs; gives what its sweep.yaml holds.

    A folder named by `hydra.sweep.dir` that has a sweep.yaml goes on, with what that holds; any other is made new.
    typed: the words of the sweep; kept: more that a new sweep.yaml shall hold. Raises InputError where another
    process runs this sweep, or where the folder is another sweep's; a StoppedError of the body says how to go on.
    """
    chosen = any(word.startswith("hydra.sweep.dir=") for word in launcher.config.hydra.overrides.hydra)
    goes_on = chosen and (launcher.folder / MANIFEST).is_file()
    folder = launcher.folder if goes_on else launcher.claim()
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{folder}: another process runs this sweep; expected one at a time") from None
    try:
        if goes_on:
            yield _read(folder / MANIFEST, typed)
        else:
            record = {
                "overrides": list(typed),
                "command": os.environ.get(COMMAND) or typed_command(),
                "started": datetime.now().astimezone().isoformat(timespec="seconds"),
                **kept,
            }
            write_atomically(folder / MANIFEST, yaml.safe_dump(record, sort_keys=False, allow_unicode=True, width=120))
            yield record
    except InputError:
        if not goes_on:
            _discard(folder)
        raise
    except StoppedError as error:
        raise StoppedError(f"{error}; go on with: python train.py resume={folder}") from None
    finally:
        lock.release()
        (folder / LOCK).unlink(missing_ok=True)


def _discard(folder: Path) -> None:
    """Remove the folder of a sweep that was refused, unless a job of it has trained."""
    for path in folder.iterdir():
        if path.is_dir():
            Run(path).discard_if_untrained()
    if not any(path.is_dir() for path in folder.iterdir()):
        shutil.rmtree(folder)


def _read(path: Path, typed: Sequence[str]) -> Mapping[str, Any]:
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
        before = record["overrides"]
    except (OSError, ValueError, yaml.YAMLError, TypeError, KeyError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if _what_is_swept(before) != _what_is_swept(typed):
        raise InputError(
            f"hydra.sweep.dir={path.parent}: another sweep is in it ({' '.join(before)}); expected a new folder, or "
            f"python train.py resume={path.parent} to go on with that one"
        )
    return record


def _what_is_swept(words: Sequence[str]) -> list[str]:
    """Without where the jobs run and how many trials there shall be, which may change on the way."""
    return [word for word in words if not word.startswith(("launcher=", "launcher.", "sweep.trials="))]
