"""ONNX Runtime for browsers (https://onnxruntime.ai): two files out of its npm package, which a page carries with it.

The package is asked of npm, which knows a company's mirror and proxy, or where there is no npm of the registry itself.
Either way it is only opened when its SHA-512 is the one below, which the registry states as `dist.integrity`.
"""

import base64
import hashlib
import http.client
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
from pathlib import Path

from okkhor.errors import InputError

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
TARBALL = f"https://registry.npmjs.org/{PACKAGE}/-/{PACKAGE}-{VERSION}.tgz"
FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")  # one thread, SIMD; the names say which build
SECONDS = 300  # for 30 MB
AGAIN = "make setup-docs fetches it"


def fetch_runtime(folder: Path) -> None:
    """Fetch FILES into `folder`, whole or not at all; what lay there before goes.

    Raises InputError when the package cannot be had or is not the one that was pinned.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as name:
        package = Path(name) / f"{PACKAGE}-{VERSION}.tgz"
        npm = shutil.which("npm")
        if npm:
            _pack(npm, package.parent)
        else:
            _download(package)
        unpack(package, Path(name) / "new")
        if folder.exists():
            folder.rename(Path(name) / "old")
        (Path(name) / "new").rename(folder)


def unpack(package: Path, folder: Path) -> None:
    """Write FILES of the package, a .tgz of npm, into a new folder. Raises InputError when it is another package."""
    if not package.is_file():
        raise InputError(f"{PACKAGE} {VERSION}: npm brought no {package.name}; try again")
    with package.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    found = f"sha512-{base64.b64encode(digest).decode()}"
    if found != INTEGRITY:
        raise InputError(
            f"{PACKAGE} {VERSION}: what came has the hash {found[:18]}…, expected {INTEGRITY[:18]}…; it is cut or not "
            "the package that was pinned: try again, and ask who runs the mirror if there is one"
        )
    folder.mkdir()
    with tarfile.open(package) as archive:
        for name in FILES:
            file = archive.extractfile(f"package/dist/{name}")
            assert file is not None  # of this very package
            (folder / name).write_bytes(file.read())


def runtime_files(folder: Path) -> list[Path]:
    """FILES, as `fetch_runtime` left them; raises InputError when they are not there."""
    found = [folder / name for name in FILES]
    for path in found:
        if not path.is_file():
            raise InputError(f"{path}: no ONNX Runtime for browsers; {AGAIN}")
    return found


def _pack(npm: str, folder: Path) -> None:
    words = [npm, "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--silent", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{PACKAGE} {VERSION}: npm did not bring it within {SECONDS} s; try again") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        reason = said[0].removeprefix("npm error ") if said else f"npm ended with status {done.returncode}"
        raise InputError(f"{PACKAGE} {VERSION} cannot be had: {reason}; is there a network?")


def _download(package: Path) -> None:
    try:
        with urllib.request.urlopen(TARBALL, timeout=60) as response, package.open("wb") as file:
            shutil.copyfileobj(response, file)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise InputError(
            f"{TARBALL} cannot be had ({reason}); is there a network? npm would know of a mirror"
        ) from None
