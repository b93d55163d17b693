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
    """The trained run that was started last; raises InputError when there is none."""
    from okkhor.runs import Run

    return Run.newest(os.environ.get("OKKHOR_RUNS") or ROOT / "runs", trained=True).path


def chosen_bundle(path: Path, format: str, *, trust: bool = False) -> Bundle:
    """The bundle at a path, or a run's, with the format in it: exported where need be.

    Raises InputError for what is neither, for an unknown format, and for an untrusted one that is code.
    """
    from okkhor.errors import InputError
    from okkhor.serving.runtimes import CODE, FORMATS
    from okkhor.training.bundles import bundle_of

    if format not in FORMATS:
        raise InputError(f"--format={format}: expected one of {', '.join(FORMATS)}")
    path = Path(path).expanduser()
    bundle = bundle_of(path, format, say=lambda line: print(line, flush=True))
    if format in CODE and not trust and not (path / "config.yaml").is_file():
        raise InputError(f"{bundle.path}: {format} is code that the server would run; --trust if you made this bundle")
    return bundle
