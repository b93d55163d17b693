"""Several processes compute what one computes: gradients, losses, metrics, to the last digits of float64."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from okkhor.training.build import build_data

pytestmark = pytest.mark.serial
RANK = Path(__file__).with_name("exact_rank.py")


@pytest.fixture
def trained(compose, tmp_path):
    def train(ranks, batch_size, workers=0, loss=("model.loss.smoothing=0.1",)):
        options = [f"data.batch_size={batch_size}", f"data.workers={workers}", "data.drop_last=false", "aug=light"]
        config = compose(*options, *loss, f"trainer.devices={ranks}")
        name = tmp_path / f"{ranks}-{batch_size}-{workers}"
        OmegaConf.save(config, name.with_suffix(".yaml"), resolve=True)
        command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)] if ranks > 1 else []
        words = [str(RANK), str(name.with_suffix(".yaml")), str(name.with_suffix(".npz"))]
        done = subprocess.run([sys.executable, *command, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        with np.load(name.with_suffix(".npz")) as notes:
            return {key: notes[key] for key in notes.files}

    return train


@pytest.fixture
def images(compose):
    return len(build_data(compose()).rows("train"))


def leftover(batch_size, images):
    return images % batch_size


def assert_equal(one, several):
    assert one.keys() == several.keys()
    assert {"train_loss", "train_score", "val_loss", "val_score", "val_recall_root"} <= one.keys()
    for name, value in one.items():
        # a gradient near 0 is a difference of larger terms: compared at the scale of its step's largest
        scale = np.abs(value).max(axis=-1, keepdims=True) if value.ndim == 2 else 0
        error = np.abs(several[name] - value) - 1e-6 * np.maximum(np.abs(value), 1e-6 * scale)
        assert (error <= 0).all(), f"{name}: {several[name]} is not {value}"


def test_two_processes_train_and_score_as_one_with_an_uneven_last_batch(trained, images):
    batch_size = next(b for b in range(60, images, 2) if leftover(b, images) % 2)
    one, two = trained(1, batch_size), trained(2, batch_size)
    assert len(one["losses"]) == 2 * -(-images // batch_size)
    assert_equal(one, two)
    two["gradients"][-1] *= 1 + 1e-5  # what the comparison is there to tell
    with pytest.raises(AssertionError, match="gradients"):
        assert_equal(one, two)


@pytest.mark.parametrize(
    "loss",
    [["model/loss=ohem", "model.loss.share=0.4"], ["model/loss=class_balanced", "model.loss.beta=0.9"]],
    ids=["ohem", "class_balanced"],
)
def test_losses_that_look_at_a_whole_batch_or_at_all_labels_see_what_one_process_sees(trained, images, loss):
    batch_size = next(b for b in range(60, images, 2) if leftover(b, images) % 2)
    one = trained(1, batch_size, loss=loss)
    assert_equal(one, trained(2, batch_size, loss=loss))


@pytest.mark.parametrize("loss", ["cross_entropy", "ohem"])
def test_a_rank_without_a_sample_of_the_last_batch_changes_nothing(trained, images, loss):
    batch_size = next(b for b in range(40, images, 2) if leftover(b, images) == 1)
    loss = [f"model/loss={loss}"]
    assert_equal(trained(1, batch_size, loss=loss), trained(2, batch_size, workers=1, loss=loss))
