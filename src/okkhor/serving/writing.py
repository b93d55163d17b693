"""Write a bundle: every format is made, loaded as a server loads it, and compared with the checkpoint."""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from okkhor.errors import InputError
from okkhor.heads import Heads
from okkhor.models.classifier import MultiHeadClassifier
from okkhor.serving.bundle import MANIFEST, SCHEMA, Bundle, FormatFile, sha256_of
from okkhor.serving.formats import WRITERS
from okkhor.serving.formats.int8 import FILE as INT8_FILE
from okkhor.serving.formats.int8 import write_int8
from okkhor.serving.graph import ServedGraph
from okkhor.serving.runtimes import CODE, load_runtime

TOLERANCE = 1e-4  # of a probability, to the checkpoint
PACKAGES = ("okkhor", "torch", "onnx", "onnxruntime", "safetensors", "numpy", "opencv-python-headless", "pillow")
Say = Callable[[str], None]


def write_bundle(
    out: Path,
    net: MultiHeadClassifier,
    description: Mapping[str, Any],
    *,
    formats: Sequence[str],
    images: np.ndarray,
    calibration: np.ndarray | None = None,
    judge: Callable[[list[np.ndarray]], dict[str, Any]] | None = None,
    say: Say = lambda _: None,
) -> Bundle:
    """Make the folder `out`, whole or not at all; one that is there is replaced.

    net: with the checkpoint's weights; description: bundle.yaml without schema, created, versions and formats;
    images: uint8 (N, 1, H, W) on which formats are compared with the checkpoint; calibration: the same, of the
    training: int8 is made, too; judge: probabilities of `images` by int8 -> what bundle.yaml notes of it.
    Raises InputError for an unknown format, and for one whose probabilities differ by more than TOLERANCE.
    """
    unknown = [name for name in formats if name not in WRITERS]
    if unknown or not formats:
        raise InputError(f"format={','.join(unknown)}: expected one or more of {', '.join(WRITERS)}")
    if calibration is not None and "onnx" not in formats:
        raise InputError("quantize=int8: quantizes the onnx format; expected onnx among the formats")
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        graph = ServedGraph(copy.deepcopy(net).cpu().eval().float())
        truth = reference(graph, images)
        heads = Heads.from_config(description["heads"])
        entries: dict[str, FormatFile] = {}
        known = {"schema": SCHEMA, **description, "created": datetime.now(UTC).isoformat(timespec="seconds")}
        known["versions"] = {name: version for name in PACKAGES if (version := _version(name))}

        def describe() -> Bundle:
            text = yaml.safe_dump(
                known | {"formats": {name: asdict(entry) for name, entry in entries.items()}},
                sort_keys=False, allow_unicode=True,
            )  # fmt: skip
            (folder / MANIFEST).write_text(text, encoding="utf-8")
            return Bundle.open(folder)

        def add(name: str, path: Path, *, exact: bool) -> None:
            entries[name] = FormatFile(path.name, sha256_of(path), path.stat().st_size, 0.0, name in CODE)
            found = probabilities_of(describe(), name, images)
            difference = max(float(np.abs(a - b).max()) for a, b in zip(found, truth, strict=True))
            if exact and not difference <= TOLERANCE:
                raise InputError(
                    f"{name}: its probabilities differ from the checkpoint's by up to {difference:.2g}; "
                    f"expected at most {TOLERANCE:g}, so it is not written"
                )
            notes = {} if exact or judge is None else judge(found)
            entries[name] = FormatFile(**{**asdict(entries[name]), "difference": difference, "notes": notes})
            say(f"{name}: {path.stat().st_size / 1e6:.1f} MB, probabilities within {difference:.1g}")

        # tracing wants a number of images that is neither 0 nor 1; their pixels do not matter
        example = torch.from_numpy(np.resize(images, (2, *images.shape[1:])))
        for name in formats:
            file, write = WRITERS[name]
            say(f"{name} …")
            write(graph, example, heads.names, folder / file)
            add(name, folder / file, exact=True)
        if calibration is not None:
            say("onnx_int8 …")
            write_int8(folder / WRITERS["onnx"][0], calibration, folder / INT8_FILE)
            add("onnx_int8", folder / INT8_FILE, exact=False)
        describe()
        folder.chmod(0o755)  # who serves it may be another than who trained
        for path in folder.iterdir():
            path.chmod(0o644)
        _replace(out, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Bundle.open(out)


@torch.inference_mode()
def reference(graph: ServedGraph, images: np.ndarray) -> list[np.ndarray]:
    """The checkpoint's own probabilities of each head, float32 (N, classes)."""
    parts = [graph(part)[:-1] for part in torch.from_numpy(images).split(64)]
    return [torch.cat(head).numpy() for head in zip(*parts, strict=True)]


def probabilities_of(bundle: Bundle, format: str, images: np.ndarray) -> list[np.ndarray]:
    """A format's probabilities, as a server computes them: one image, then three, then the rest in larger batches."""
    run = load_runtime(bundle, format, trust=True)  # it was written a moment ago, by this process
    cuts = sorted({min(cut, len(images)) for cut in (0, 1, 4, *range(4, len(images), 64), len(images))})
    parts = [run(images[a:b])[0] for a, b in pairwise(cuts)]
    return [np.concatenate(head) for head in zip(*parts, strict=True)]


def _replace(out: Path, folder: Path) -> None:
    if not out.exists():
        folder.rename(out)
        return
    if not (out / MANIFEST).is_file():
        raise InputError(f"{out}: exists and is no bundle; expected another folder, or remove it")
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}-old-", dir=out.parent))
    out.rename(old / "bundle")
    folder.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
