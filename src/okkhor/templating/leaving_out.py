"""What a copy leaves behind, as `parts.yaml` lists it: whole files, and passages of files that stay."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from okkhor.errors import InputError

HERE = Path(__file__).resolve().parent
PARTS = HERE / "parts.yaml"


@dataclass(frozen=True)
class LeftOut:
    """Paths that stay behind: patterns of fnmatch (`*` also passes `/`), a folder with a `/` at its end; and why."""

    paths: tuple[str, ...]
    why: str

    def covers(self, path: PurePosixPath) -> bool:
        return any(matches(pattern, path) for pattern in self.paths)


@dataclass(frozen=True)
class Passage:
    """In files that stay: what is written there, once in each, and what is written in a copy.

    line: `old` is a part of one line, all of which is replaced.
    """

    files: tuple[str, ...]
    old: str
    new: str
    line: bool = False

    def replaced(self, text: str, path: PurePosixPath) -> str:
        """The text of the file `path` with it replaced. Raises InputError when it is not there exactly once."""
        if text.count(self.old) != 1:
            shown = self.old.strip().splitlines()[0]
            raise InputError(
                f"{path}: has a passage {text.count(self.old)} times, expected once; bring {PARTS} up to date: {shown}"
            )
        if not self.line:
            return text.replace(self.old, self.new)
        return "".join(self.new if self.old in line else line for line in text.splitlines(keepends=True))


@dataclass(frozen=True)
class Parts:
    """What one kind of copy does without."""

    left_out: tuple[LeftOut, ...]
    passages: tuple[Passage, ...]
    words: dict[str, str]
    files: tuple[Path, ...]  # folders whose files take the place of the repository's or join them
    verbatim: tuple[str, ...] = ()  # files that keep every word, as a license does

    def stays(self, path: PurePosixPath) -> bool:
        return not any(one.covers(path) for one in self.left_out)

    def edited(self, path: PurePosixPath, text: str) -> str:
        """A file's text as a copy has it. Raises InputError when a passage is not in it exactly once."""
        for passage in self.passages:
            if str(path) in passage.files:
                text = passage.replaced(text, path)
        return text


def read_parts(*, reference_task: bool) -> Parts:
    """What a copy with or without the reference task does without."""
    listed = yaml.safe_load(PARTS.read_text(encoding="utf-8"))
    kinds = ["always"] if reference_task else ["always", "without_reference_task"]
    return Parts(
        tuple(LeftOut(tuple(one["paths"]), one["why"]) for one in _all(listed, kinds, "left_out")),
        tuple(_passage(one) for one in _all(listed, kinds, "passages")),
        {str(old): str(new) for kind in kinds for old, new in (listed[kind].get("words") or {}).items()},
        tuple(HERE / listed[kind]["files"] for kind in kinds),
        tuple(_all(listed, kinds, "verbatim")),
    )


def matches(pattern: str, path: PurePosixPath) -> bool:
    return fnmatchcase(str(path), f"{pattern}*" if pattern.endswith("/") else pattern)


def _all(listed: dict[str, Any], kinds: Iterable[str], key: str) -> list[Any]:
    return [one for kind in kinds for one in listed[kind].get(key) or []]


def _passage(one: dict[str, Any]) -> Passage:
    files = (one["in"],) if isinstance(one["in"], str) else tuple(one["in"])
    return Passage(files, one.get("old") or one["line_with"], one.get("new", ""), "line_with" in one)
