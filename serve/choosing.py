"""Which model a command of this folder means: a run or a bundle, and the format of it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from okkhor.serving.bundle import Bundle

ROOT = Path(__file__).resolve().parent.parent


def add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", default="onnx", help="of the bundle; a run's is exported if need be; default: onnx")
    parser.add_argument("--trust", action="store_true", help="take formats that are code, of a bundle that you made")


def newest_run() -> Path:
    """The run that was started last; raises InputError when there is none."""
    from okkhor.runs import Run

    return Run.newest(os.environ.get("OKKHOR_RUNS") or ROOT / "runs").path


def chosen_bundle(path: Path, format: str, *, trust: bool = False) -> Bundle:
    """The bundle at a path, or a run's, with the format in it: exported where the run has none, or an older one.

    Raises InputError for what is neither, for an unknown format, and for an untrusted one that is code.
    """
    from okkhor.errors import InputError
    from okkhor.serving.bundle import MANIFEST, Bundle
    from okkhor.serving.runtimes import CODE, FORMATS

    if format not in FORMATS:
        raise InputError(f"--format={format}: expected one of {', '.join(FORMATS)}")
    path = Path(path).expanduser()
    if not (path / "config.yaml").is_file():
        bundle = Bundle.open(path)
        if format in CODE and not trust:
            raise InputError(
                f"{bundle.path}: {format} is code that the server would run; --trust if you made this bundle"
            )
        return bundle
    made = path / "bundle" / MANIFEST
    there = list(Bundle.open(path / "bundle").formats) if made.is_file() else []
    if there and _checkpoint_time(path) > made.stat().st_mtime:
        print(f"{path}: trained on since its bundle was written; exporting it again", flush=True)
    elif format in there:
        return Bundle.open(path / "bundle")
    return _exported(path, {*there, format})


def _exported(path: Path, formats: set[str]) -> Bundle:
    from okkhor.runs import Run
    from okkhor.training.export import export
    from okkhor.training.fit import quiet

    quiet()
    quantize = "int8" if "onnx_int8" in formats else None
    floating = (formats - {"onnx_int8"}) | ({"onnx"} if quantize else set())
    return export(Run.open(path), None, sorted(floating), quantize, say=lambda line: print(line, flush=True))


def _checkpoint_time(path: Path) -> float:
    from okkhor.runs import Run

    return Run.open(path).checkpoint().stat().st_mtime
