"""The bundle: a folder with everything that serving needs of a run, described by bundle.yaml; opened without PyTorch.

bundle.yaml     schema, name, version, run, created; heads, decision, labels, graphemes; input; model; metrics;
                versions; checkpoint: its hash; formats: file, sha256, bytes, difference to the checkpoint, whether it
                is code
model.*         one file a format
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from okkhor.errors import InputError
from okkhor.heads import Heads

SCHEMA = 1
MANIFEST = "bundle.yaml"
FIELDS = (
    "name", "version", "run", "created", "heads", "decision", "labels", "graphemes", "input", "model", "metrics",
    "versions", "formats",
)  # fmt: skip


@dataclass(frozen=True)
class FormatFile:
    """One format of the model.

    file: its name in the bundle; difference: largest difference of a probability to the checkpoint's; code: whether
    loading it runs code that stands in it; notes: what was measured besides, such as the score of int8.
    """

    file: str
    sha256: str
    bytes: int
    difference: float
    code: bool
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """What bundle.yaml says; see `okkhor.training.export` for who writes it."""

    path: Path
    name: str
    version: str
    run: str
    created: str
    heads: Heads
    decision: str
    labels: dict[str, list[str]]
    graphemes: dict[str, str] | None
    input: dict[str, Any]
    model: dict[str, Any]
    metrics: dict[str, Any]
    versions: dict[str, str]
    formats: dict[str, FormatFile]
    checkpoint: str = ""

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """The bundle in a folder, or in the `bundle` folder of a run directory.

        Raises InputError for what is no bundle, has another schema, lacks a file or holds what cannot be.
        """
        folder = Path(path).expanduser()
        if not (folder / MANIFEST).is_file() and (folder / "bundle" / MANIFEST).is_file():
            folder = folder / "bundle"
        manifest = folder / MANIFEST
        if not manifest.is_file():
            raise InputError(f"{path}: no bundle, it has no {MANIFEST}; scripts/export.py makes one of a run")
        try:
            found = yaml.safe_load(manifest.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InputError(f"{manifest}: cannot be read as YAML: {str(error).splitlines()[0]}") from error
        try:
            return cls._from(folder.resolve(), found)
        except InputError as error:
            raise InputError(f"{manifest}: {error}") from error

    @classmethod
    def _from(cls, folder: Path, found: Any) -> Bundle:
        if not isinstance(found, Mapping):
            raise InputError("expected a mapping")
        if found.get("schema") != SCHEMA:
            raise InputError(
                f"schema {found.get('schema')!r}; this version reads schema {SCHEMA}: export the run again"
            )
        missing = [name for name in FIELDS if name not in found]
        if missing:
            raise InputError(f"{missing[0]} is missing; expected {', '.join(FIELDS)}")
        heads = Heads.from_config(found["heads"])
        formats = {name: _format(folder, str(name), block) for name, block in dict(found["formats"]).items()}
        _check_labels(heads, found["labels"])
        _check_input(found["input"])
        kept = {name: found[name] for name in FIELDS} | {"heads": heads, "formats": formats}
        return cls(folder, **kept, checkpoint=str(found.get("checkpoint", "")))

    def is_of(self, checkpoint: Path) -> bool:
        """Whether it was made of this checkpoint; a run may have been trained on since."""
        return self.checkpoint == sha256_of(checkpoint)

    def path_of(self, format: str) -> Path:
        """The file of a format, when it is what was exported; raises InputError when its hash says otherwise."""
        entry = self.formats[format]
        path = self.path / entry.file
        if (found := sha256_of(path)) != entry.sha256:
            raise InputError(
                f"{path}: its hash {found[:12]}… is not the {entry.sha256[:12]}… of {MANIFEST}; it was changed or "
                "damaged: export the run again"
            )
        return path


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _format(folder: Path, name: str, block: Any) -> FormatFile:
    try:
        notes = dict(block.get("notes", {}))
        entry = FormatFile(
            str(block["file"]), str(block["sha256"]), int(block["bytes"]), float(block["difference"]),
            bool(block["code"]), notes,
        )  # fmt: skip
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"formats.{name}: expected file, sha256, bytes, difference and code ({error})") from error
    if not re.fullmatch(r"[\w.-]+", entry.file) or entry.file.startswith("."):
        raise InputError(f"formats.{name}.file: {entry.file!r} is no name of a file in the bundle")
    path = folder / entry.file
    if not path.is_file():
        raise InputError(f"formats.{name}: {entry.file} is missing")
    if path.stat().st_size != entry.bytes:
        raise InputError(
            f"formats.{name}: {entry.file} has {path.stat().st_size:,} bytes, not {entry.bytes:,}: changed or cut"
        )
    return entry


def _check_labels(heads: Heads, labels: Any) -> None:
    for head in heads:
        texts = labels.get(head.name) if isinstance(labels, Mapping) else None
        if not isinstance(texts, list) or len(texts) != head.classes:
            raise InputError(f"labels.{head.name}: expected the texts of {head.classes} classes")


def _check_input(block: Any) -> None:
    try:
        sizes = [block["height"], block["width"], *block["raw_size"]]
        sensible = len(sizes) == 4 and all(isinstance(size, int) and 8 <= size <= 4096 for size in sizes)
    except (KeyError, TypeError):
        sensible = False
    if not sensible or not isinstance(block.get("crop"), bool):
        raise InputError("input: expected height, width, raw_size: [height, width] in pixels, and crop: true or false")
