"""Make the copy: read the files of the last commit, write them under their new names, have a history begin."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath

from okkhor import __version__
from okkhor.errors import InputError, JobFailedError
from okkhor.templating.leaving_out import Parts, read_parts
from okkhor.templating.naming import Name
from okkhor.templating.renaming import TEMPLATE, Renaming, filled
from okkhor.templating.unlinking import unlink_pages

Advance = Callable[[str, int, int], None]  # what is done, how many of it, of how many


@dataclass(frozen=True)
class Committed:
    """One file of a commit."""

    content: bytes
    executable: bool = False


def make_project(
    root: Path, name: Name, folder: Path, *, reference_task: bool, advance: Advance = lambda *_: None
) -> int:
    """Copy the last commit of the project in `root` into `folder`, absent or empty, and return the number of files.

    The folder appears only when it is complete: it is written beside its place first. Raises InputError when `root` is
    no checkout of git, and JobFailedError with the words of git or ruff when one of them fails.
    """
    parts, files = read_parts(reference_task=reference_task), committed(root)
    commit = _run(["git", "rev-parse", "--short", "HEAD"], root).decode().strip()
    values = {"template": TEMPLATE, "version": __version__, "commit": commit, "today": f"{date.today()}"}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.part-", dir=folder.parent))
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}; expected a place that can be written") from None
    try:
        made.chmod(0o777 & ~_umask())
        write_files(files, parts, name, made, values, advance)
        unlink_pages(made)
        count = sum(1 for path in made.rglob("*") if path.is_file())
        advance("tidying", count, count)
        tidy(made)
        advance("committing", count, count)
        begin_history(made, f"{name.title}: begun from {TEMPLATE} {__version__} ({commit})")
        made.replace(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return count


def committed(root: Path) -> dict[PurePosixPath, Committed]:
    """The files of the last commit: what is half-written or only yours is not in it. Raises InputError without git."""
    if not (root / ".git").exists():
        raise InputError(f"{root}: no checkout of git, whose last commit is copied; clone the project with git")
    with tarfile.open(fileobj=io.BytesIO(_run(["git", "archive", "--format", "tar", "HEAD"], root))) as archive:
        return {
            PurePosixPath(member.name): Committed(archive.extractfile(member).read(), bool(member.mode & 0o100))
            for member in archive
            if member.isfile()
        }


def uncommitted(root: Path) -> int:
    """How many of the project's files differ from the last commit."""
    return len(_run(["git", "status", "--porcelain", "--untracked-files=no"], root).splitlines())


def write_files(
    files: Mapping[PurePosixPath, Committed],
    parts: Parts,
    name: Name,
    made: Path,
    values: Mapping[str, str],
    advance: Advance = lambda *_: None,
) -> None:
    """Write files into the folder `made` as a copy has them, then those that only a copy has.

    values: for `{{ key }}` in those. What is not UTF-8, such as a picture, is copied as it is.
    """
    renaming = Renaming(name, parts.words)
    staying = [(path, file) for path, file in sorted(files.items()) if parts.stays(path)]
    for number, (path, file) in enumerate(staying, start=1):
        content = file.content
        with suppress(UnicodeDecodeError):
            if str(path) not in parts.verbatim:
                text = parts.edited(path, content.decode("utf-8"))
                content = renaming.text(text, numbers=path.suffix == ".py").encode()
        _write(made / renaming.path(path), content, file.executable)
        advance("copying", number, len(staying))
    for own in parts.files:
        for source in sorted(path for path in own.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            path = PurePosixPath(source.relative_to(own).as_posix())
            text = renaming.text(source.read_text(encoding="utf-8"))
            _write(made / renaming.path(path), filled(text, values).encode())


def tidy(made: Path) -> None:
    """Have ruff order imports, drop unused ones and lay lines out: another name has another length.

    Lines that it cannot break, such as sentences, may stay longer than before: the linter is told how long they are.
    """
    ruff = [sys.executable, "-m", "ruff"]
    checking = [*ruff, "check", "--fix", "--quiet", "--no-cache", "--exit-zero"]
    _run([*checking, "--select", "I,F401", "."], made)
    _run([*ruff, "format", "--quiet", "--no-cache", "."], made)
    found = json.loads(_run([*checking, "--select", "E501", "--output-format", "json", "."], made) or b"[]")
    longest = max((one["end_location"]["column"] - 1 for one in found), default=0)
    if longest:
        with (made / "pyproject.toml").open("a", encoding="utf-8") as file:
            file.write(f"\n[tool.ruff.lint.pycodestyle]\nmax-line-length = {longest}  # of sentences with a new name\n")


def begin_history(made: Path, message: str) -> None:
    """A repository of git with one commit; by the person whom git knows, else by the template."""
    _run(["git", "init", "--quiet", "--initial-branch", "main"], made)
    _run(["git", "add", "--all"], made)
    known = subprocess.run(["git", "config", "user.email"], cwd=made, env=_without_git(), capture_output=True)
    person = [] if known.returncode == 0 else ["-c", f"user.name={TEMPLATE}", "-c", "user.email=template@localhost"]
    _run(["git", *person, "-c", "commit.gpgsign=false", "commit", "--quiet", "--no-verify", "--message", message], made)


def _write(target: Path, content: bytes, executable: bool = False) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    if executable:
        target.chmod(target.stat().st_mode | 0o111 & ~_umask())


def _run(command: list[str], folder: Path) -> bytes:
    try:
        done = subprocess.run(command, cwd=folder, env=_without_git(), capture_output=True)
    except OSError as error:
        raise JobFailedError(f"{command[0]}: {error.strerror}; install it") from None
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines() or ["ended without a word"]
        raise JobFailedError(f"{' '.join(command[:4])}: {said[-1]}")
    return done.stdout


def _without_git() -> dict[str, str]:
    """The environment without variables that would point git at another repository, as a hook has them."""
    kept = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM")  # where settings lie, which says nothing of a repository
    return {key: value for key, value in os.environ.items() if key in kept or not key.startswith("GIT_")}


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
