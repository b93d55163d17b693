"""The source that a job runs, in one archive: what git tracks, what is named besides, and what the job installs.

Equal files give equal bytes: the archive is named by its hash, and a sweep's jobs, or the next run, share it.
"""

import gzip
import hashlib
import io
import re
import subprocess
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from okkhor.errors import InputError

LEFT_OUT = ("tests", "docs", "infra", ".github")  # tracked, but no job reads them
NEVER = {".git", ".venv", "__pycache__", ".servers", "node_modules"}  # also where a named folder holds them
SECRET_NAMES = re.compile(
    r"\.env(\..+)?|.*\.(pem|p12|pfx|key|keystore|jks)|id_(rsa|dsa|ecdsa|ed25519)|credentials(\.\w+)?|\.netrc|\.npmrc|"
    r"\.pypirc|kaggle\.json|secrets?\.(ya?ml|json|toml|env)",
    re.IGNORECASE,
)
HARMLESS = re.compile(r"\.env\.(example|sample|template)", re.IGNORECASE)
# values that can only be keys, and in files of text alone
SECRET_TEXTS = {
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "an AWS access key": re.compile(rb"(?<![A-Z0-9])(AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])"),
    "a GitHub token": re.compile(rb"\bgh[pousr]_[A-Za-z0-9]{36,}"),
}
LOOKED_AT = 1_000_000  # bytes of a file that are searched for keys
SHOWN = 5


@dataclass(frozen=True)
class Archive:
    """A packed source. content: the .tar.gz; files: how many it holds; unpacked: their bytes."""

    content: bytes
    files: int
    unpacked: int

    @property
    def name(self) -> str:
        """What no other content is called."""
        return hashlib.sha256(self.content).hexdigest()[:16]

    def __str__(self) -> str:
        return f"{self.files} files, {megabytes(len(self.content))} packed, {megabytes(self.unpacked)} unpacked"


def pack(root: Path, include: Sequence[str] = (), *, max_mb: float, extra: dict[str, str] | None = None) -> Archive:
    """Pack the source under `root`.

    include: files and folders below root to send besides what git tracks; extra: name -> text of files that are made
    for the job. Raises InputError for a secret among the files, for one that is named and not there, and where
    the archive has more than max_mb.
    """
    files = source_files(root, include)
    for name, path in files.items():
        refuse_secret(name, path)
    raw = io.BytesIO()
    unpacked = 0
    # no times and no owners, which would make the same source another archive
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        made = {name: text.encode() for name, text in (extra or {}).items()}
        for name in sorted({*files, *made}):
            content = made[name] if name in made else files[name].read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o755 if name in files and files[name].stat().st_mode & 0o100 else 0o644
            tar.addfile(entry, io.BytesIO(content))
            unpacked += len(content)
    archive = Archive(gzip.compress(raw.getvalue(), mtime=0), len(files.keys() | made.keys()), unpacked)
    if len(archive.content) > max_mb * 1e6:
        largest = sorted(files, key=lambda name: -files[name].stat().st_size)[:SHOWN]
        told = ", ".join(f"{name} ({megabytes(files[name].stat().st_size)})" for name in largest)
        raise InputError(
            f"launcher.max_mb={max_mb:g}: the source has {archive}; expected less, or a larger limit; largest: {told}"
        )
    return archive


def source_files(root: Path, include: Sequence[str] = ()) -> dict[str, Path]:
    """What is packed, by its name in the archive. Raises InputError outside a git repository."""
    try:
        listed = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-z", "--cached"], capture_output=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(
            f"{root}: what a job gets is what git tracks, and this is no git repository; expected a clone, or "
            "`git init` and `git add` in it"
        ) from error
    names = [name.decode() for name in listed.split(b"\0") if name]
    kept = [name for name in names if PurePosixPath(name).parts[0] not in LEFT_OUT]
    files = {name: root / name for name in kept if (root / name).is_file()}  # deleted, but not yet committed
    for wanted in include:
        path = (root / wanted).resolve()
        if not path.is_relative_to(root.resolve()) or not path.exists():
            raise InputError(f"launcher.include: {wanted}: no such file or folder in {root}")
        found = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        for one in found:
            name = one.relative_to(root.resolve())
            if not NEVER & set(name.parts):
                files[name.as_posix()] = one
    return files


def left_behind(root: Path) -> list[str]:
    """Files of the source that git does not track, and does not ignore: a job would look for them in vain."""
    words = ["ls-files", "-z", "--others", "--exclude-standard", "src", "configs", "train.py"]
    listed = subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=False).stdout
    return [name.decode() for name in listed.split(b"\0") if name]


def refuse_secret(name: str, path: Path) -> None:
    """Raise InputError for a file that is called like a secret, or that holds what can only be a key."""
    last = PurePosixPath(name).name
    if SECRET_NAMES.fullmatch(last) and not HARMLESS.fullmatch(last):
        raise InputError(
            f"{name}: looks like a secret, which is not sent to a job; expected it untracked (git rm --cached {name}) "
            "and out of launcher.include"
        )
    with path.open("rb") as file:
        beginning = file.read(LOOKED_AT)
    if b"\0" in beginning[:8000]:
        return
    for what, pattern in SECRET_TEXTS.items():
        if found := pattern.search(beginning):
            line = beginning.count(b"\n", 0, found.start()) + 1
            raise InputError(f"{name}, line {line}: holds {what}, which is not sent to a job; expected it elsewhere")


def requirements(dependencies: Iterable[str], lock: str, *, brought: Iterable[str]) -> tuple[str, str]:
    """The files of requirements and constraints that a job installs by: the lock less what its image brings.

    dependencies: as in pyproject.toml; lock: text of constraints.txt; brought: names of packages that the image has,
    which stay as they are, with all that is built for their version.
    """
    kept = set(map(canonical, brought))
    wanted = [line for line in dependencies if canonical(line) not in kept]
    pinned = [
        line
        for line in lock.splitlines()
        if line.strip() and not line.startswith("#") and canonical(line) not in kept and not follows_torch(line)
    ]
    return "\n".join(["-c constraints-job.txt", *wanted]) + "\n", "\n".join(pinned) + "\n"


TORCH = ("torch", "torchvision", "triton")


def follows_torch(line: str) -> bool:
    """Whether a package is chosen by the build of PyTorch: a GPU image has others than the lock."""
    name = canonical(line)
    return name in TORCH or name.startswith(("nvidia-", "cuda-"))


def canonical(line: str) -> str:
    """The name of the package that a line of requirements means, as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;@]", line.strip(), maxsplit=1)[0]).lower()


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
