"""Copies of the project in which the commands of its documentation run."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from docs.blocks import Project


@pytest.fixture(scope="session")
def rendered(tmp_path_factory) -> Path:
    """500 images, rendered as train.py renders them, shared by all workers of this test run."""
    from okkhor.data.synthetic import render_dataset

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return render_dataset(shared / "rendered", count=500, seed=0, workers=1, progress=False)


@pytest.fixture
def make_project(rendered, monkeypatch) -> Iterator[Callable[[Path], Project]]:
    """make_project(folder): a copy there. What its commands leave running fails the test, and is ended."""
    for name in ("GIT_DIR", "GIT_WORK_TREE"):  # of a hook that runs the tests
        monkeypatch.delenv(name, raising=False)
    made = []

    def make(folder: Path) -> Project:
        made.append(Project(folder, rendered))
        return made[-1]

    yield make
    left = [command for project in made for command in project.end_all()]
    assert not left, "commands of the page left these running: " + "; ".join(left)


@pytest.fixture
def project(make_project, tmp_path) -> Project:
    """A fresh copy of the project."""
    folder = tmp_path / "okkhor"
    folder.mkdir()
    return make_project(folder)
