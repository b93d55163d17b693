import sys
import tempfile

import pytest

from okkhor.benchmarks import startup
from okkhor.benchmarks.setting import Setting
from okkhor.benchmarks.suite import run
from okkhor.errors import InputError


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.mark.parametrize("raised", [None, KeyboardInterrupt, InputError("no")])
def test_the_temporary_folder_is_there_meanwhile_and_gone_afterwards(temporary, train_py, monkeypatch, raised):
    seen = []

    def measure(setting, tick):
        (setting.scratch / "written").write_text("x")
        seen.extend(temporary.rglob("written"))
        if raised:
            raise raised
        return []

    monkeypatch.setattr(startup, "measure", measure)
    if raised:
        with pytest.raises(type(raised) if isinstance(raised, Exception) else raised):
            run(train_py.parent, ["startup"])
    else:
        assert run(train_py.parent, ["startup"])[0] == []
    assert len(seen) == 1
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(("part", "package"), [("pipeline", "pandas"), ("ingest", "psutil")])
def test_a_package_that_is_missing_is_named_before_anything_is_made(temporary, train_py, monkeypatch, part, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(Setting, "render", lambda self: pytest.fail("rendered"))
    with pytest.raises(InputError, match=rf"{package}: not installed.*pip install"):
        run(train_py.parent, [part])


def test_a_full_disk_is_said_before_rendering(setting, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(InputError, match=r"needs .* GB.*--rows"):
        setting.render()
    assert list(setting.scratch.iterdir()) == []
