"""The Kaggle download, against a stand-in for Kaggle's client.

Kaggle itself cannot be reached from a test: it needs an account that has accepted the competition's rules. The stand-in
is an executable named `kaggle` that notes its arguments and writes the archive that the real one (2.2) would.
"""

import json
import os
import sys
import zipfile
from pathlib import Path

import pytest

from okkhor.data.download import download_competition
from okkhor.errors import InputError

STAND_IN = """#!{python}
import json, os, sys
from pathlib import Path
import shutil

log = Path({log!r})
log.write_text(log.read_text() + json.dumps(sys.argv[1:]) + "\\n" if log.exists() else json.dumps(sys.argv[1:]) + "\\n")
print("Downloading bengaliai-cv19.zip")
archive = Path({archive!r})
if archive.exists():
    shutil.copy(archive, Path(sys.argv[sys.argv.index("-p") + 1]) / "bengaliai-cv19.zip")
else:
    sys.exit("403 - Forbidden - You must accept this competition's rules")
"""


class Kaggle:
    """What the stand-in will send and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.archive, self.log = folder / "on-kaggle.zip", folder / "log"
        client = folder / "bin" / "kaggle"
        client.parent.mkdir()
        client.write_text(STAND_IN.format(python=sys.executable, log=str(self.log), archive=str(self.archive)))
        client.chmod(0o755)

    def offers(self, files: dict[str, str]) -> None:
        with zipfile.ZipFile(self.archive, "w") as packed:
            for name, content in files.items():
                packed.writestr(name, content)

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


FILES = {"train.csv": "image_id\n", "train_image_data_0.parquet": "PAR1", "class_map.csv": "x\n"}


@pytest.fixture
def kaggle(tmp_path, monkeypatch) -> Kaggle:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("KAGGLE_USERNAME", "someone")
    monkeypatch.setenv("KAGGLE_KEY", "0" * 32)
    return Kaggle(tmp_path)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if not path.name.startswith(".")}


def test_fetches_and_unpacks_once(kaggle, tmp_path, capfd):
    kaggle.offers(FILES)
    folder = tmp_path / "new" / "data"
    assert download_competition(folder, progress=False) == folder
    assert contents(folder) == FILES
    assert not (folder / ".download").exists()
    (call,) = kaggle.calls
    assert call == ["competitions", "download", "bengaliai-cv19", "-p", str(folder / ".download"), "--quiet"]
    assert capfd.readouterr().out == ""  # the client's chatter goes to standard error
    download_competition(folder, progress=False)
    assert len(kaggle.calls) == 1


def test_data_that_is_there_needs_neither_client_nor_credentials(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    (tmp_path / "train.csv").write_text("image_id\n")
    assert download_competition(tmp_path, progress=False) == tmp_path


def test_a_download_that_was_broken_off_is_continued(kaggle, tmp_path):
    kaggle.offers(FILES)
    folder = tmp_path / "data"
    (folder / ".download").mkdir(parents=True)
    (folder / "train.csv").write_text("moved already by the download that was killed\n")
    download_competition(folder, progress=False)
    assert contents(folder) == FILES


def test_what_the_client_refuses_says_what_to_do(kaggle, tmp_path):
    with pytest.raises(
        InputError, match=r"status 1 .*accept the rules at https://www\.kaggle\.com/competitions/bengaliai-cv19"
    ):
        download_competition(tmp_path / "data", progress=False)
    assert contents(tmp_path / "data") == {}


def test_a_damaged_archive_is_removed_and_named(kaggle, tmp_path):
    kaggle.offers({**FILES, "train_image_data_0.parquet": "PAR1" * 5000})
    content = bytearray(kaggle.archive.read_bytes())
    at = content.index(b"PAR1")
    content[at + 9000] ^= 1
    kaggle.archive.write_bytes(content)
    folder = tmp_path / "data"
    with pytest.raises(InputError, match=r"bengaliai-cv19\.zip: was damaged"):
        download_competition(folder, progress=False)
    assert contents(folder) == {}
    assert not (folder / ".download" / "bengaliai-cv19.zip").exists()
    kaggle.offers(FILES)
    download_competition(folder, progress=False)
    assert contents(folder) == FILES


def test_an_archive_of_something_else_is_refused(kaggle, tmp_path):
    kaggle.offers({"readme.txt": "hello"})
    with pytest.raises(InputError, match=r"holds no train\.csv"):
        download_competition(tmp_path / "data", progress=False)


def test_members_cannot_leave_the_folder(kaggle, tmp_path):
    kaggle.offers({**FILES, "../../outside.csv": "x", "inner/test.csv": "y"})
    download_competition(tmp_path / "data", progress=False)
    assert not (tmp_path / "outside.csv").exists()
    assert {"outside.csv", "test.csv"} <= set(contents(tmp_path / "data"))


@pytest.mark.parametrize(
    "credentials",
    [
        {"KAGGLE_API_TOKEN": "t"},
        {"file": ".kaggle/kaggle.json"},
        {"file": ".kaggle/access_token"},
        {"file": ".config/kaggle/kaggle.json"},
    ],
)
def test_credentials_of_every_kind_will_do(kaggle, tmp_path, monkeypatch, credentials):
    kaggle.offers(FILES)
    monkeypatch.delenv("KAGGLE_KEY")
    for name, value in credentials.items():
        if name == "file":
            path = tmp_path / "home" / value
            path.parent.mkdir(parents=True)
            path.write_text("{}")
        else:
            monkeypatch.setenv(name, value)
    download_competition(tmp_path / "data", progress=False)
    assert contents(tmp_path / "data") == FILES


def test_without_credentials_it_says_how_to_get_them(kaggle, tmp_path, monkeypatch):
    kaggle.offers(FILES)
    monkeypatch.delenv("KAGGLE_KEY")
    with pytest.raises(InputError, match=r"no Kaggle credentials; .*kaggle\.com/settings/api"):
        download_competition(tmp_path / "data", progress=False)
    assert kaggle.calls == []
    assert not (tmp_path / "data").exists()


def test_without_the_client_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(InputError, match="pip install kaggle"):
        download_competition(tmp_path / "data", progress=False)


def test_a_remote_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="needs a local folder"):
        download_competition("s3://bucket/data")
