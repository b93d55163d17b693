"""The bundle that a path means. What is exported already is found without PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from okkhor.errors import InputError
from okkhor.serving.bundle import MANIFEST, Bundle

if TYPE_CHECKING:
    from okkhor.runs import Run


def bundle_of(path: str | Path, format: str | None = None, say: Callable[[str], None] = lambda _: None) -> Bundle:
    """A bundle, or a run's: exported where the run has none, one without the format, or one of an older checkpoint.

    format: that a run's bundle is to have, with all that it has already; default: any, ONNX where it has none.
    Raises InputError for what is neither, and for what cannot be exported.
    """
    folder = Path(path).expanduser()
    if not (folder / "config.yaml").is_file():
        if not (folder / MANIFEST).is_file():
            raise InputError(f"{path}: no bundle and no run directory; expected {MANIFEST} or config.yaml in it")
        return Bundle.open(folder)

    from okkhor.runs import Run

    run = Run.open(folder)
    made = Bundle.open(run.path / "bundle") if (run.path / "bundle" / MANIFEST).is_file() else None
    if made and _trained_on(run, made):
        say(f"{path}: its bundle is of another checkpoint; exporting it again")
    elif made and (format is None or format in made.formats):
        return made
    there = set(made.formats) if made else set()
    return _exported(run, there | ({format} if format else set()) or {"onnx"}, say)


def _trained_on(run: Run, made: Bundle) -> bool:
    """A bundle may outlive the checkpoints."""
    return (run.best.is_file() or run.last.is_file()) and not made.is_of(run.checkpoint())


def _exported(run: Run, formats: set[str], say: Callable[[str], None]) -> Bundle:
    from okkhor.training.export import export, written_as
    from okkhor.training.fit import quiet

    quiet()
    floating, quantize = written_as(sorted(formats))
    return export(run, None, sorted(floating), quantize, say=say)
