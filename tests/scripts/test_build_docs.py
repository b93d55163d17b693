"""The network of the site's drawing page, and what is said where there is none. The site: tests/docs/test_site.py."""

import importlib.util
from pathlib import Path

import pytest

from okkhor.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("build_docs", ROOT / "scripts" / "build_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_a_trained_run_the_page_is_left_out_and_it_is_said(script, tmp_path, monkeypatch):
    (tmp_path / "default" / "2026-01-01_00-00-00").mkdir(parents=True)
    monkeypatch.setenv("OKKHOR_RUNS", str(tmp_path))
    said = []
    assert script.drawing_page(None, tmp_path / "draw", said.append) is None
    (line,) = said
    assert "no trained run" in line
    assert "make train" in line


def test_a_run_that_is_named_has_to_be_one(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "RUNTIME", tmp_path)
    with pytest.raises(InputError, match="no bundle and no run"):
        script.drawing_page(tmp_path, tmp_path / "draw", print)


def test_what_the_page_runs_on_has_to_be_there(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "RUNTIME", tmp_path / "web")
    with pytest.raises(InputError, match="make setup-docs"):
        script.drawing_page(tmp_path, tmp_path / "draw", print)
