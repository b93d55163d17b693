"""Two processes pretrain as one does: each image is compared with those of the other process, to the last digits."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

pytestmark = pytest.mark.serial
RANK = Path(__file__).with_name("exact_pretraining_rank.py")


@pytest.fixture
def trained(compose, tmp_path):
    def train(ranks):
        config = compose("pretrain=simclr", "aug=views", "data.batch_size=40", f"trainer.devices={ranks}")
        name = tmp_path / f"{ranks}"
        OmegaConf.save(config, name.with_suffix(".yaml"), resolve=True)
        command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)] if ranks > 1 else []
        words = [str(RANK), str(name.with_suffix(".yaml")), str(name.with_suffix(".npz"))]
        done = subprocess.run([sys.executable, *command, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        with np.load(name.with_suffix(".npz")) as notes:
            return {key: notes[key] for key in notes.files}

    return train


def test_losses_gradients_weights_and_score_are_those_of_one_process(trained):
    one, two = trained(1), trained(2)
    assert {"losses", "gradients", "weights", "train_loss", "val_knn_score", "val_knn_recall_root"} <= one.keys()
    assert one.keys() == two.keys()
    assert len(one["losses"]) >= 20
    for name, value in one.items():
        assert np.allclose(two[name], value, rtol=1e-6, atol=1e-9 * np.abs(value).max()), name
    # of 40 images each is told from 79 others; of the 20 of one process alone it would be from 39
    assert one["losses"][0] > np.log(40)
