"""Fetch the competition's files with the Kaggle client: data=bengali data.download=true data.dir=DIR.

The client (`pip install kaggle`, or the extra `kaggle` of this project) finds the credentials itself; here it is only
checked that there are some. See https://github.com/Kaggle/kaggle-api
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path, PurePosixPath

from filelock import FileLock
from rich.console import Console
from rich.progress import track

from okkhor.data.competition import LABELS
from okkhor.errors import InputError

COMPETITION = "bengaliai-cv19"
PAGE = f"https://www.kaggle.com/competitions/{COMPETITION}"
UNFINISHED = ".download"
HOW = (
    f"accept the rules at {PAGE}/rules, make a token at https://www.kaggle.com/settings/api and put it into "
    "~/.kaggle/access_token or KAGGLE_API_TOKEN (or the older kaggle.json into ~/.kaggle)"
)


def download_competition(data_dir: str | Path, *, progress: bool = True) -> Path:
    """Fetch the competition's files into `data_dir`, unless they are there, and return it.

    What has come stays in a hidden folder until all is there, so that a broken download is continued and never taken
    for data. Raises InputError where client or credentials are missing, saying how to get them, and where the client
    fails or what it fetched is damaged.
    """
    if "://" in str(data_dir):
        raise InputError(
            f"data.dir={data_dir}: data.download=true needs a local folder; fetch the files, then copy them"
        )
    data_dir = Path(data_dir).expanduser()
    if _complete(data_dir):
        return data_dir
    client, unfinished = _client(), data_dir / UNFINISHED
    try:
        unfinished.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"data.dir={data_dir}: cannot be written ({error.strerror})") from error
    with FileLock(data_dir / f"{UNFINISHED}.lock"):
        if _complete(data_dir):
            return data_dir
        unfinished.mkdir(exist_ok=True)
        # its own progress bar is the user's to see; standard output is kept for results
        command = [*client, "competitions", "download", COMPETITION, "-p", str(unfinished)]
        ended = subprocess.run([*command, *([] if progress else ["--quiet"])], stdout=_stderr(), check=False)
        archive = unfinished / f"{COMPETITION}.zip"
        if ended.returncode != 0 or not archive.is_file():
            raise InputError(
                f"data.download: the Kaggle client ended with status {ended.returncode} and no {archive.name}; {HOW}"
            )
        _unpack(archive, data_dir, progress)
        shutil.rmtree(unfinished)
    return data_dir


def _complete(data_dir: Path) -> bool:
    return (data_dir / LABELS).is_file() and not (data_dir / UNFINISHED).exists()


def _client() -> list[str]:
    """The command of the Kaggle client, after a look for credentials."""
    beside_python = sysconfig.get_path("scripts")
    client = shutil.which("kaggle", path=os.pathsep.join([beside_python, os.environ.get("PATH", "")]))
    if client is None:
        raise InputError(f"data.download: the Kaggle client is missing; pip install kaggle, then {HOW}")
    named = bool(os.environ.get("KAGGLE_USERNAME") and os.environ.get("KAGGLE_KEY"))
    folders = [os.environ.get("KAGGLE_CONFIG_DIR"), Path.home() / ".kaggle", Path.home() / ".config" / "kaggle"]
    files = ("access_token", "kaggle.json", "credentials.json")
    kept = any((Path(folder) / file).is_file() for folder in folders if folder for file in files)
    if not (os.environ.get("KAGGLE_API_TOKEN") or named or kept):
        raise InputError(f"data.download: no Kaggle credentials; {HOW}")
    return [client]


def _unpack(archive: Path, data_dir: Path, progress: bool) -> None:
    """Extract beside the archive, then move: while the hidden folder is there nothing counts as complete."""
    console = Console(stderr=True, quiet=not progress)
    fresh = archive.with_suffix("")
    try:
        with zipfile.ZipFile(archive) as packed:
            members = [member for member in packed.infolist() if not member.is_dir()]
            names = [PurePosixPath(member.filename).name for member in members]
            if LABELS not in names:
                raise InputError(f"{archive}: holds no {LABELS}; delete it and start again")
            fresh.mkdir(exist_ok=True)
            for member, name in zip(
                track(members, "Unpacking", console=console, disable=not progress), names, strict=True
            ):
                with packed.open(member) as source, (fresh / name).open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    except zipfile.BadZipFile as error:
        archive.unlink()
        raise InputError(f"{archive}: was damaged ({error}) and is removed; start again") from error
    except OSError as error:
        raise InputError(f"{fresh}: cannot be written ({error.strerror or error})") from error
    for name in names:
        (fresh / name).replace(data_dir / name)


def _stderr() -> int | None:
    """The file of standard error, None (inherit) where it has been replaced by something without one."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError):
        return None
