"""A path means its bundle, which is made once for each checkpoint and wish."""

import os
import shutil

import pytest
import torch

from okkhor.errors import InputError
from okkhor.runs import Run
from okkhor.serving.predictor import Predictor
from okkhor.training.bundles import bundle_of
from okkhor.training.fit import fit


@pytest.fixture(scope="module")
def trained(composed, tiny_in, tmp_path_factory):
    config = composed(*tiny_in(tmp_path_factory.mktemp("runs")), "trainer.max_epochs=1")
    run = Run.create(config.paths.runs, config.name)
    run.write_config(config)
    fit(run, config)
    return run


@pytest.fixture
def run(trained, tmp_path):
    return Run.open(shutil.copytree(trained.path, tmp_path / "run"))


def stamp(bundle):
    return (bundle.path / "bundle.yaml").stat().st_mtime_ns


def test_it_is_made_once(run):
    made = bundle_of(run.path)
    before = stamp(made)
    assert made.path == run.path / "bundle"
    for again in (bundle_of(run.path), bundle_of(run.path, "onnx"), bundle_of(made.path)):
        assert (again.path, stamp(again)) == (made.path, before)


def test_a_format_that_it_lacks_is_added(run):
    bundle_of(run.path, "safetensors")
    assert sorted(bundle_of(run.path, "onnx").formats) == ["onnx", "safetensors"]


def test_it_is_made_again_for_another_checkpoint_whatever_the_clock_says(run):
    first, said = bundle_of(run.path), []
    checkpoint = torch.load(run.checkpoint(), weights_only=True)
    checkpoint["state_dict"]["net.head_layers.vowel.bias"] += torch.linspace(-9, 9, 11)
    torch.save(checkpoint, run.checkpoint())
    os.utime(run.checkpoint(), (0, 0))  # copied, for instance
    second = bundle_of(run.path, say=said.append)
    assert (second.is_of(run.checkpoint()), first.is_of(run.checkpoint())) == (True, False)
    assert "its bundle is of another checkpoint" in said[0]
    images = torch.full((1, 1, 24, 40), 200, dtype=torch.uint8).numpy()
    assert Predictor.load(second).probabilities(images)[1].argmax() == 10


def test_a_checkpoint_that_is_only_newer_changes_nothing(run):
    made = bundle_of(run.path)
    before = stamp(made)
    os.utime(run.checkpoint())
    assert stamp(bundle_of(run.path)) == before


def test_a_bundle_outlives_its_checkpoints(run):
    made = bundle_of(run.path)
    for path in (run.best, run.last):
        path.unlink(missing_ok=True)
    assert bundle_of(run.path).path == made.path


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_what_is_neither_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"no bundle and no run directory; expected bundle.yaml or config.yaml"):
        bundle_of(tmp_path / name)
