"""Checkpoints on disk: written whole or not at all, and read back as tensors alone."""

import os
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from okkhor.atomic import replacing
from okkhor.errors import InputError
from okkhor.runs import Run

UNREADABLE = (RuntimeError, OSError, ValueError, EOFError, KeyError, pickle.UnpicklingError)


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes beside the checkpoint, then renames.

    Lightning's own way goes through the system's temporary folder: where that is another disk, its last step copies,
    and a process that is killed meanwhile leaves a part in place of the checkpoint that was there.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        assert storage_options is None, "a run directory is a local folder"
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())  # a machine that goes off may have renamed before it has written
        for left in path.parent.glob(f".{path.name}.*.part"):  # by a process that was killed; one alone writes a run
            left.unlink(missing_ok=True)


def resumable(run: Run) -> tuple[Path, int] | None:
    """The checkpoint that a run goes on from and its optimizer step; None where it has none and starts.

    That is last.ckpt; where it cannot be read, best.ckpt, which is said in one line. Raises InputError where neither
    can be read.
    """
    if not run.last.is_file():
        return None
    try:
        return run.last, _step(run.last)
    except UNREADABLE as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]
    try:
        found = run.best, _step(run.best)
    except UNREADABLE:
        raise InputError(
            f"{run.last}: cannot be read ({cause}), and there is no best.ckpt to go on from; put a copy in its place, "
            "or remove it to start anew"
        ) from None
    print(
        f"{run.last}: cannot be read ({cause}); going on from best.ckpt, step {found[1]}", file=sys.stderr, flush=True
    )
    return found


def _step(path: Path) -> int:
    """The optimizer step that a checkpoint was written at, its tensors left on disk."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(checkpoint, Mapping):
        raise ValueError("holds no checkpoint")
    return int(checkpoint["global_step"])
