"""Names for a copy: which will do, and where it may stand."""

import importlib.util
import keyword
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from okkhor.errors import InputError

LONGEST = 20  # characters of a name: names of jobs and endpoints begin with it, and AWS takes 63 of those in all
LONGEST_TITLE = 40


@dataclass(frozen=True)
class Name:
    """What a copy is called.

    word: the package, `digits`; title: for people, `Digits`; the rest are written otherwise for code.
    """

    word: str
    title: str

    @property
    def camel(self) -> str:
        """As classes begin: `Digits`."""
        return self.word.capitalize()

    @property
    def upper(self) -> str:
        """As environment variables begin: `DIGITS`."""
        return self.word.upper()


def checked_name(word: str, title: str | None, root: Path) -> Name:
    """A name for a copy of the project in `root`.

    Raises InputError for a word that cannot be a package beside the installed ones, or that stands for something else
    at AWS or in Docker; and for a title that would have to be quoted in YAML, HTML or Python.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*", word) or len(word) > LONGEST:
        raise InputError(
            f"{word!r}: expected a name of lowercase letters and digits, a letter first, at most {LONGEST} characters, "
            "as digits: a Python package and things at AWS and in Docker are called by it"
        )
    taken = _taken(word, root)
    if taken:
        raise InputError(f"{word!r}: is {taken}; expected a name that nothing else has")
    title = word.capitalize() if title is None else " ".join(title.split())
    if not re.fullmatch(r"[^\W\d_][\w .-]*", title) or len(title) > LONGEST_TITLE:
        raise InputError(
            f"--title {title!r}: expected letters, digits, spaces, points and hyphens, a letter first, "
            f"at most {LONGEST_TITLE} characters"
        )
    return Name(word, title)


def checked_folder(folder: Path, root: Path) -> Path:
    """Where a copy may be made: a folder that is absent or empty, outside of `root`. Raises InputError otherwise."""
    folder = folder.expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; expected a new or an empty folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder}: is not empty; expected a new or an empty folder")
    if folder.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{folder}: lies in this project; expected a folder outside of it, as ../{folder.name}")
    return folder


def _taken(word: str, root: Path) -> str:
    """What already goes by this word, nothing where it is free."""
    if keyword.iskeyword(word) or keyword.issoftkeyword(word):
        return "a word of Python"
    if word in sys.stdlib_module_names:
        return "a module of Python's standard library"
    if any((root / at / name).exists() for at in (".", "src", "tests") for name in (word, f"{word}.py")):
        return "a folder or a module of this project"
    if importlib.util.find_spec(word) is not None:
        return "a package that is installed here"
    return ""
