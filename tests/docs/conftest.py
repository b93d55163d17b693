"""Copies of the project in which the commands of its documentation run."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from docs.blocks import Project


@pytest.fixture
def make_project(synthetic_dir, monkeypatch) -> Iterator[Callable[[Path], Project]]:
    """make_project(folder): a copy there. What its commands leave running fails the test, and is ended."""
    for name in ("GIT_DIR", "GIT_WORK_TREE"):  # of a hook that runs the tests
        monkeypatch.delenv(name, raising=False)
    made = []

    def make(folder: Path) -> Project:
        made.append(Project(folder, synthetic_dir))
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
