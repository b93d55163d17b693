"""ONNX Runtime for browsers: only the pinned package is opened, and its files come whole or not at all."""

import base64
import hashlib
import io
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from okkhor.errors import InputError
from okkhor.serving import web_runtime
from okkhor.serving.web_runtime import FILES, PACKAGE, VERSION, fetch_runtime, runtime_files

SETUP = Path(__file__).resolve().parents[2] / "scripts" / "setup_docs.py"


@pytest.fixture
def package(tmp_path) -> Path:
    """A package like npm's, of a few bytes."""
    path = tmp_path / "made" / f"{PACKAGE}-{VERSION}.tgz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        for name in (*(f"package/dist/{name}" for name in FILES), "package/package.json", "../escaped"):
            entry = tarfile.TarInfo(name)
            entry.size = len(name)
            archive.addfile(entry, io.BytesIO(name.encode()))
    return path


@pytest.fixture
def pinned(package, monkeypatch) -> Path:
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    monkeypatch.setattr(web_runtime, "INTEGRITY", f"sha512-{digest}")
    return package


@pytest.fixture
def without_npm(package, monkeypatch) -> None:
    monkeypatch.setattr(web_runtime.shutil, "which", lambda _: None)
    monkeypatch.setattr(web_runtime, "TARBALL", package.as_uri())


def npm(folder: Path, monkeypatch, *lines: str) -> None:
    """Put a program npm of these lines of shell before the others."""
    program = folder / "bin" / "npm"
    program.parent.mkdir()
    program.write_text("\n".join(("#!/bin/sh", *lines)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_npm_is_asked_for_the_pinned_version_and_the_needed_files_are_kept(pinned, tmp_path, monkeypatch):
    words = tmp_path / "words"
    npm(tmp_path, monkeypatch, f'echo "$@" > {words}', 'while [ "$1" != --pack-destination ]; do shift; done',
        f'cp {pinned} "$2"')  # fmt: skip
    out = tmp_path / "servers" / "web"
    fetch_runtime(out)
    assert words.read_text().startswith(f"pack {PACKAGE}@{VERSION} --ignore-scripts")
    assert left(out) == set(FILES)
    assert [path.read_text() for path in runtime_files(out)] == [f"package/dist/{name}" for name in FILES]
    assert left(out.parent) == {"web"}


def test_without_npm_it_is_downloaded_and_takes_the_place_of_an_older_one(pinned, without_npm, tmp_path):
    out = tmp_path / "web"
    out.mkdir()
    (out / "old.wasm").write_text("old")
    fetch_runtime(out)
    assert left(out) == set(FILES)
    assert left(tmp_path) == {"made", "web"}


def test_another_package_is_not_opened_and_what_was_there_stays(package, without_npm, tmp_path):
    out = tmp_path / "web"
    out.mkdir()
    (out / "old.wasm").write_text("old")
    with pytest.raises(InputError, match="not the package that was pinned"):
        fetch_runtime(out)
    assert left(out) == {"old.wasm"}
    assert left(tmp_path) == {"made", "web"}


def test_a_registry_that_cannot_be_reached_is_said_in_one_line(package, without_npm, tmp_path):
    package.unlink()
    with pytest.raises(InputError, match=r"cannot be had \(.*\); is there a network"):
        fetch_runtime(tmp_path / "web")
    assert left(tmp_path) == {"made"}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param(('echo "npm error code E404" >&2', "exit 1"), "code E404", id="npm-refuses"),
        pytest.param(("exit 3",), "npm ended with status 3", id="npm-says-nothing"),
        pytest.param(("exit 0",), "npm brought no", id="npm-brings-nothing"),
    ],
)
def test_what_npm_cannot_do_is_said_in_one_line_and_status_2(tmp_path, monkeypatch, lines, said):
    npm(tmp_path, monkeypatch, *lines)
    words = [sys.executable, str(SETUP), "--out", str(tmp_path / "web")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert re.fullmatch(rf"error: {PACKAGE} {re.escape(VERSION)}.*{said}.*\n", done.stderr)
    assert left(tmp_path) == {"bin"}


def test_a_missing_file_says_what_fetches_it(pinned, without_npm, tmp_path):
    fetch_runtime(tmp_path / "web")
    (tmp_path / "web" / FILES[1]).unlink()
    with pytest.raises(InputError, match=f"{re.escape(FILES[1])}: no ONNX Runtime for browsers; make setup-docs"):
        runtime_files(tmp_path / "web")
    shutil.rmtree(tmp_path / "web")
    with pytest.raises(InputError, match="make setup-docs"):
        runtime_files(tmp_path / "web")
