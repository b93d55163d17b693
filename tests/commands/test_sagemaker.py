"""The same command line as training jobs of SageMaker: the local AWS really runs them."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from okkhor.data.store import competition_store
from okkhor.heads import Heads
from okkhor.runs import Run

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.serial,
    pytest.mark.skipif(importlib.util.find_spec("sagemaker") is None, reason="pip install -e '.[sagemaker]'"),
]


@pytest.fixture(scope="session")
def packed(synthetic_dir):
    """The synthetic images as a packed store: what the jobs get as a channel."""
    config = OmegaConf.load(ROOT / "configs" / "data" / "bengali.yaml")
    heads = Heads.from_config(OmegaConf.to_container(config.heads))
    return competition_store(str(synthetic_dir), heads, size=tuple(config.raw_size)).path


@pytest.fixture
def place(aws, packed):
    """The words of a job on the local AWS, where the packed store lies in the bucket."""
    s3 = aws.client("s3")
    for path in packed.rglob("*"):
        if path.is_file():
            s3.upload_file(str(path), aws.bucket, f"data/{path.relative_to(packed)}")
    return [
        "launcher=sagemaker",
        f"launcher.role={aws.role}",
        f"launcher.bucket={aws.bucket}",
        f"launcher.data=s3://{aws.bucket}/data",
        "launcher.instance_type=ml.m5.large",
        "launcher.poll_seconds=0.3",
        "launcher.requirements=false",  # the containers of the local AWS have this environment
    ]


@pytest.fixture
def words(tmp_path):
    """A run of seconds, which says nothing of where its data lie."""
    return [
        "data=bengali",
        f"paths.runs={tmp_path / 'runs'}",
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


def runs(tmp_path):
    return [Run.open(path.parent) for path in sorted((tmp_path / "runs").glob("**/config.yaml"))]


def test_a_run_comes_back(command, aws, place, words, packed, tmp_path):
    done = command("train.py", *words, *place, "name=there")
    print(done.stdout[-3000:], done.stderr[-3000:])
    assert done.returncode == 0, done.stderr
