"""Every `experiment=` of configs/experiment, two steps of it, as a user types it."""

import math
from pathlib import Path

import pytest

from okkhor.runs import Run

RECIPES = sorted(path.stem for path in (Path(__file__).resolve().parents[2] / "configs" / "experiment").glob("*.yaml"))
TWO_STEPS = (
    "trainer.max_epochs=1",
    "trainer.check_val_every_n_epoch=1",
    "+trainer.limit_train_batches=2",
    "+trainer.limit_val_batches=2",
)
HERE = (
    "trainer=cpu",
    "model.pretrained=false",
    "data.batch_size=8",
    "data.workers=0",
    "callbacks.report=false",
    "data.synthetic.count=200",
)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_two_steps_of_every_recipe(command, synthetic_dir, tmp_path, recipe):
    done = command(
        "train.py",
        f"experiment={recipe}",
        "data=bengali",
        f"data.dir={synthetic_dir}",
        f"paths.data={tmp_path}",
        *HERE,
        *TWO_STEPS,
    )
    assert done.returncode == 0, done.stderr
    (config,) = (tmp_path / "runs" / recipe).glob("*/config.yaml")
    run = Run.open(config.parent)
    metrics = run.metrics()
    assert 0 <= metrics["objective"] <= 1
    assert metrics["epochs"] == 1
    assert all(math.isfinite(value) for name, value in metrics.items() if "unseen" not in name), metrics
    assert run.best.is_file()
    assert run.last.is_file()
