import pytest
import torch
from pytorch_lightning.callbacks import Callback
from torch import nn

from okkhor.errors import InputError, StoppedError
from okkhor.runs import Run
from okkhor.training import fit as fitting
from okkhor.training.averaging import ExponentialAverage, build_averaging
from okkhor.training.callbacks import GracefulStop, build_callbacks
from okkhor.training.fit import fit
from okkhor.training.restore import restore
from okkhor.training.scoring import read, score

EMA, SWA = "callbacks.ema.decay=0.9", "callbacks.swa.start=0.4"


def started(config, name="run"):
    run = Run.create(config.paths.runs, name)
    run.write_config(config)
    return run


class Watch(Callback):
    """Notes the trained weights after every step, and the weights that each epoch validates."""

    def __init__(self):
        self.steps, self.ends, self.validated = [], [], []

    def on_train_batch_end(self, trainer, module, *_):
        now = {name: value.detach().clone() for name, value in module.net.state_dict().items()}
        self.steps.append(now)
        if trainer.is_last_batch:
            self.ends.append(now)

    def on_validation_batch_start(self, trainer, module, batch, batch_idx, dataloader_idx=0):
        if batch_idx == 0:
            self.validated.append({name: value.clone() for name, value in module.net.state_dict().items()})


@pytest.fixture
def watched(monkeypatch):
    watch = Watch()
    monkeypatch.setattr(fitting, "build_callbacks", lambda *given: [*build_callbacks(*given), watch])
    return watch


def parameters(state):
    """Without batch norm's statistics, which an average treats in its own way."""
    return {name: value for name, value in state.items() if "running" not in name and "tracked" not in name}


def assert_close(a, b):
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-4, atol=1e-6, msg=lambda text, n=name: f"{n}: {text}")


def differ(a, b):
    return any(not torch.allclose(a[name], b[name], rtol=1e-3, atol=1e-5) for name in a)


def net_of(path):
    state = torch.load(path, weights_only=True)["state_dict"]
    return {name.removeprefix("net."): value for name, value in state.items() if name.startswith("net.")}


@pytest.mark.parametrize("accumulate", [1, 4])
def test_moving_average_is_what_is_validated_and_what_checkpoints_hold(compose, watched, accumulate):
    config = compose(EMA, f"trainer.accumulate_grad_batches={accumulate}", "scheduler=constant")
    run = started(config)
    fit(run, config)
    steps = [state for k, state in enumerate(watched.steps) if (k % 6 + 1) % accumulate == 0 or k % 6 == 5]
    average = {name: value.double() for name, value in parameters(steps[0]).items()}
    for updates, state in enumerate(steps[1:], start=1):
        decay = min(0.9, (1 + updates) / (10 + updates))
        average = {name: decay * value + (1 - decay) * state[name].double() for name, value in average.items()}
    expected = {name: value.float() for name, value in average.items()}
    assert_close(parameters(watched.validated[-1]), expected)
    assert_close(parameters(net_of(run.last)), expected)
    assert differ(expected, parameters(watched.steps[-1]))


@pytest.mark.parametrize("option", [EMA, SWA])
def test_restored_runs_score_with_the_average_what_the_training_validated(compose, option):
    config = compose(option, "trainer.max_epochs=4", "scheduler=constant")
    config.trainer.limit_val_batches = 1.0
    run = started(config)
    fit(run, config)
    kept = torch.load(run.best, weights_only=True)
    watched_score = next(
        state["best_model_score"] for name, state in kept["callbacks"].items() if name.startswith("ModelCheckpoint")
    )
    _, data, module = restore(run)
    rows = data.rows("val")
    found = score(module, read(module, data.loader_of(rows), torch.device("cpu"), ""), data.store.labels[rows])
    assert found["score"] == pytest.approx(float(watched_score), abs=1e-6)
    assert run.metrics()["val/score"] == pytest.approx(float(watched_score), abs=1e-6)


def test_stochastic_average_is_the_mean_of_the_last_epochs_and_the_newest_weights_before(compose, watched):
    config = compose("callbacks.swa.start=0.5", "trainer.max_epochs=5")
    run = started(config)
    fit(run, config)
    ends = [parameters(state) for state in watched.ends]
    for epoch in (0, 1, 2):
        assert_close(parameters(watched.validated[epoch]), ends[epoch])
    mean = {name: torch.stack([state[name] for state in ends[2:]]).mean(0) for name in ends[0]}
    assert_close(parameters(watched.validated[4]), mean)
    assert_close(parameters(net_of(run.last)), mean)
    assert differ(mean, ends[-1])


def test_stochastic_average_keeps_its_learning_rate(compose, watched):
    config = compose(
        "callbacks.swa.start=0.5", "callbacks.swa.lr=1e-7", "trainer.max_epochs=4", "optimizer=sgd", "scheduler=cosine"
    )
    fit(started(config), config)
    before = max((watched.steps[5][name] - watched.steps[4][name]).abs().max() for name in parameters(watched.steps[0]))
    after = max(
        (watched.steps[20][name] - watched.steps[19][name]).abs().max() for name in parameters(watched.steps[0])
    )
    assert after < 1e-3 * before


def test_batch_norm_of_a_stochastic_average_is_that_of_its_own_activations(compose):
    config = compose("callbacks.swa.start=0.2", "trainer.max_epochs=4", "aug=none")
    run = started(config)
    fit(run, config)
    _, data, module = restore(run)
    module.net.load_state_dict(net_of(run.last))
    before = {n: b.clone() for n, b in module.net.named_buffers() if "running" in n}
    for layer in module.net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    batches = data.train_batches()
    batches.set_epoch(3)
    module.train()
    dataset = data.train_dataloader().dataset
    with torch.no_grad():
        for _, items in zip(range(32), batches, strict=False):
            module(dataset.__getitems__(items)[0])
    after = {n: b for n, b in module.net.named_buffers() if "running" in n}
    assert_close(before, after)


@pytest.mark.serial
@pytest.mark.parametrize("option", [EMA, SWA])
@pytest.mark.parametrize("stop_at", [2, 9, 12])
def test_a_stopped_run_goes_on_to_the_very_same_average(compose, option, stop_at, monkeypatch):
    config = compose(option, "trainer.max_epochs=4", "model.dropout=0.3", "aug=cutmix")
    whole = started(config, "whole")
    fit(whole, config)
    pending = {"stop": True}
    monkeypatch.setattr(GracefulStop, "_agreed", lambda self, t: pending["stop"] and t.global_step >= stop_at)
    cut = started(config, "cut")
    with pytest.raises(StoppedError):
        fit(cut, config)
    pending["stop"] = False
    fit(cut, config)
    for which in ("last", "best"):
        ours, theirs = (torch.load(getattr(run, which), weights_only=True) for run in (cut, whole))
        for part in ("state_dict", "current_model_state", "averaging_state"):
            assert ours[part].keys() == theirs[part].keys()
            assert all(torch.equal(ours[part][name], theirs[part][name]) for name in theirs[part]), (which, part)
    assert cut.metrics()["val/score"] == whole.metrics()["val/score"]


def test_decay_grows_to_what_was_asked_for():
    average = ExponentialAverage(0.99)
    assert average.decay_after(0) == pytest.approx(0.1)
    assert average.decay_after(10**6) == 0.99
    decays = [average.decay_after(n) for n in range(2000)]
    assert decays == sorted(decays)


def test_one_average_at_most_and_none_by_default(compose):
    assert build_averaging(compose().callbacks) == []
    assert build_averaging({"checkpoint": {}}) == []  # the configuration of a run before there were averages
    with pytest.raises(InputError, match=r"callbacks\.ema\.decay, callbacks\.swa\.start"):
        build_averaging(compose(EMA, SWA).callbacks)
