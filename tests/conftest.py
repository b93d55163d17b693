"""Shared by all tests: one torch thread, a small synthetic data set made once, and a way to run commands."""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("WANDB_MODE", "offline")

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aws.fixture import aws, hosting, toolkit  # noqa: F401 - fixtures of all tests

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def synthetic_dir(tmp_path_factory) -> Path:
    """500 rendered images in the competition's format, shared by all workers of this test run."""
    from okkhor.data.synthetic import render_dataset

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return render_dataset(shared / "synthetic", count=500, seed=0, workers=1, files=1, progress=False)


@pytest.fixture(scope="session")
def tiny_in(synthetic_dir) -> Callable[[Path], list[str]]:
    """tiny_in(runs): options for a run in that folder that takes seconds: a thin net, few batches, no pictures."""
    return lambda runs: [
        "data=bengali",
        f"data.dir={synthetic_dir}",
        f"paths.runs={runs}",
        "data.size=[24,40]",
        "data.batch_size=16",
        "data.workers=0",
        "model.options.widths=[4,8,8,8]",
        "trainer=cpu",
        "trainer.max_epochs=2",
        "+trainer.limit_train_batches=6",
        "+trainer.limit_val_batches=2",
        "callbacks=none",
    ]


@pytest.fixture
def tiny(tmp_path, tiny_in) -> list[str]:
    """Options that make a run on the synthetic images take seconds."""
    return tiny_in(tmp_path / "runs")


@pytest.fixture(scope="session")
def composed() -> Callable:
    """Compose a configuration: composed("data=bengali", …)."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    def make(*overrides: str):
        with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
            return hydra_compose("train", list(overrides))

    return make


@pytest.fixture
def compose(tiny, composed) -> Callable:
    """Compose a configuration for a tiny run: compose("model.dropout=0.1", …)."""
    return lambda *overrides: composed(*tiny, *overrides)


@pytest.fixture(scope="session")
def train_py() -> Path:
    return ROOT / "train.py"


@pytest.fixture
def killable() -> Iterator[dict[str, str]]:
    """The environment of a process that is to be killed: what it cannot remove any more lies in a folder that is."""
    # a short path: sockets lie in it
    with tempfile.TemporaryDirectory(prefix="okkhor-", ignore_cleanup_errors=True) as folder:
        yield {**os.environ, "TMPDIR": folder}


@pytest.fixture
def command(tmp_path) -> Callable:
    """Run a command of the project as a user does: command("train.py", "debug=limit") -> CompletedProcess."""

    def run(*words: str, timeout: float = 300, **environment: str) -> subprocess.CompletedProcess:
        env = {**os.environ, "OKKHOR_RUNS": str(tmp_path / "runs"), "COLUMNS": "120", **environment}
        return subprocess.run(
            [sys.executable, str(ROOT / words[0]), *words[1:]],
            capture_output=True, text=True, timeout=timeout, env=env, cwd=tmp_path,
        )  # fmt: skip

    return run
