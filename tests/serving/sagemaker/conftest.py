"""The commands that a person types at a local AWS, and what is sent there."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def typed(tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """typed("scripts/deploy.py", …): run a command of the project as a person does."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, str(ROOT / words[0]), *words[1:]],
            capture_output=True, text=True, timeout=600, env={**os.environ, **environment}, cwd=tmp_path,
        )  # fmt: skip

    return run


@pytest.fixture
def image(tmp_path) -> Path:
    """A PNG of strokes on paper."""
    paper = np.full((137, 236), 250, np.uint8)
    corners = np.array([[40, 30], [200, 40], [120, 110], [60, 90]], np.int32)
    cv2.imwrite(str(tmp_path / "letter.png"), cv2.polylines(paper, [corners], False, 15, 6))
    return tmp_path / "letter.png"


@pytest.fixture(scope="session")
def newer_bundle(handmade_bundle, tmp_path_factory) -> Path:
    """The bundle made by hand, as version 2.0."""
    folder = tmp_path_factory.mktemp("newer") / "bundle"
    shutil.copytree(handmade_bundle, folder)
    manifest = folder / "bundle.yaml"
    manifest.write_text(
        manifest.read_text(encoding="utf-8").replace("version: '1.0'", "version: '2.0'"), encoding="utf-8"
    )
    return folder
