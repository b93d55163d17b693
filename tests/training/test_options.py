import pytest

from okkhor.errors import InputError
from okkhor.training.options import CHECKS, check_options

WRONG = {
    "name": "a b/../c",
    "seed": -1,
    "objective": "score",
    "export": "tflite",
    "data.batch_size": 0,
    "data.fold": 5,
    "data.folds": 1,
    "data.fold_seed": "x",
    "data.label_fraction": 0,
    "data.split": "random",
    "data.size": "[48]",
    "data.raw_size": "137",
    "data.drop_last": "x",
    "data.workers": "many",
    "data.download": "perhaps",
    "data.crop": 1,
    "data.progressive": "{0:[24,32]}",
    "data.synthetic_fraction": 1.0,
    "data.synthetic.count": 0,
    "data.synthetic.seed": -2,
    "model.pool": "max",
    "data.unseen_share": 0.6,
    "model.pretrained": "imagenet",
    "model.compile": 3,
    "model.channels_last": "x",
    "model.tta": "[[0.6,0]]",
    "model.dropout": 1.0,
    "model.decision": "vote",
    "model.power": -0.5,
    "model.grapheme_head": 1295,
    "model.loss": 3,
    "model.loss.smoothing": -0.1,
    "model.loss.gamma": "two",
    "model.loss.share": 0,
    "model.loss.beta": 1.0,
    "model.loss.power": -1,
    "model.init_from": 3,
    "pretrain.bank": 0,
    "pretrain.neighbors": 0,
    "pretrain.test_images": "x",
    "optimizer.lr": 0,
    "optimizer.weight_decay": -1,
    "scheduler.warmup": 1.0,
    "scheduler.floor": -0.1,
    "scheduler.cycles": 0,
    "scheduler.growth": 0,
    "scheduler.pct_start": 2,
    "scheduler.patience": -1,
    "scheduler.factor": 1.5,
    "scheduler.mode": "most",
    "scheduler.schedule.interval": "batch",
    "scheduler.schedule.frequency": 0,
    "trainer.devices": 0,
    "trainer.num_nodes": 0,
    "trainer.max_epochs": "abc",
    "trainer.accumulate_grad_batches": 0,
    "trainer.check_val_every_n_epoch": 0,
    "trainer.log_every_n_steps": 0,
    "trainer.gradient_clip_val": -1,
    "trainer.max_restarts": -1,
    "trainer.scale_lr": "square",
    "trainer.opt_level": "O3",
    "trainer.precision": "17",
    "launcher.n_jobs": 0,
    "launcher.minutes": 0,
    "launcher.requeues": -1,
    "launcher.signal_delay": 0,
    "launcher.cpus_per_node": 0,
    "launcher.gpus_per_node": -1,
    "launcher.retries": "many",
    "callbacks.checkpoint.mode": "most",
    "callbacks.early_stopping.patience": 0,
    "callbacks.ema.decay": 1,
    "callbacks.swa.start": 1.0,
    "callbacks.swa.lr": 0,
    "callbacks.progress": 2,
    "callbacks.report": "x",
}


def test_every_check_has_a_wrong_value_here():
    assert set(WRONG) == set(CHECKS)


@pytest.mark.parametrize("key", sorted(WRONG))
def test_wrong_value_is_refused_with_key_and_expectation(compose, key):
    with pytest.raises(InputError, match=f"^{key}: expected "):
        check_options(
            compose("data=synthetic", f"++{key}='{WRONG[key]}'" if " " in str(WRONG[key]) else f"++{key}={WRONG[key]}")
        )


def test_defaults_pass(compose):
    check_options(compose())
    check_options(compose("data=synthetic"))
