"""Every optimizer with every schedule: the learning rate of each step is the one that the schedule's own rule gives."""

import pytest
import torch
from pytorch_lightning.callbacks import Callback
from torch import nn
from torch.optim import lr_scheduler as torch_schedules

from okkhor.errors import InputError, StoppedError
from okkhor.models.metrics import HeadsScore
from okkhor.runs import Run
from okkhor.training import fit as fitting
from okkhor.training.callbacks import GracefulStop, build_callbacks
from okkhor.training.fit import fit
from okkhor.training.schedules import cosine

OPTIMIZERS = ["adam", "adamw", "lamb", "sgd"]
SCHEDULES = ["one_cycle", "cosine", "cosine_restarts", "plateau", "constant"]
BATCHES, EPOCHS = 6, 4


class Rates(Callback):
    """The learning rate of each optimizer step, and what validations gave."""

    def __init__(self):
        self.taken, self.scores, self.moved = [], [], []

    def on_train_start(self, trainer, module):
        self.before = {name: value.detach().clone() for name, value in module.net.named_parameters()}

    def on_before_optimizer_step(self, trainer, module, optimizer):
        rates = {group["lr"] for group in optimizer.param_groups}
        assert len(rates) == 1
        self.taken.append(rates.pop())

    def on_train_epoch_end(self, trainer, module):
        self.scores += [float(value) for name, value in trainer.callback_metrics.items() if name == "val/score"]

    def on_train_end(self, trainer, module):
        now = dict(module.net.named_parameters())
        self.moved = [not torch.equal(now[name], value) for name, value in self.before.items()]


@pytest.fixture
def rates(compose, monkeypatch):
    """Train with these options and return the Rates of it: rates("optimizer=sgd", …)."""

    def train(*options, run=None):
        noted = Rates()
        monkeypatch.setattr(fitting, "build_callbacks", lambda *given: [*build_callbacks(*given), noted])
        config = compose(f"trainer.max_epochs={EPOCHS}", *options)
        if run is None:
            run = Run.create(config.paths.runs, "run")
            run.write_config(config)
        try:
            fit(run, config)
        except StoppedError:
            noted.stopped = True
        noted.run = run
        return noted

    return train


def replayed(name, lr, steps, scores=()):
    """The rates of a schedule that is stepped by hand `steps` times, from torch's own classes."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
    if name == "one_cycle":
        made = torch_schedules.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.2)
    elif name == "plateau":
        made = torch_schedules.ReduceLROnPlateau(optimizer, "max", factor=0.5, patience=0)
    elif name == "constant":
        return [lr] * steps
    else:
        rising = round(0.05 * steps)
        rest = (
            torch_schedules.CosineAnnealingLR(optimizer, steps - rising)
            if name == "cosine"
            else torch_schedules.CosineAnnealingWarmRestarts(optimizer, (steps - rising) // 7, 2)
        )
        made = rest
    found = []
    for step in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        made.step(scores[step]) if name == "plateau" else made.step()
    if "cosine" in name:
        found = [lr * (k + 1) / (rising + 1) for k in range(rising)] + found[: steps - rising]
    return found


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_optimizer_follows_every_schedule(rates, optimizer, schedule):
    # 22 steps: one of warm-up and 21, which three cycles share as 3, 6 and 12
    options = [f"optimizer={optimizer}", f"scheduler={schedule}", "optimizer.lr=3e-3", "+trainer.max_steps=22"]
    if schedule == "plateau":
        options.append("scheduler.patience=0")
    noted = rates(*options)
    steps = 22
    if schedule == "plateau":
        by_epoch = replayed("plateau", 3e-3, EPOCHS, noted.scores + [0.0] * EPOCHS)
        expected = [rate for rate in by_epoch for _ in range(BATCHES)][:steps]
    else:
        expected = replayed(schedule, 3e-3, steps)
    assert noted.taken == pytest.approx(expected, rel=1e-6)
    assert all(noted.moved)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "cosine_restarts"])
def test_by_the_epoch_the_rate_is_the_same_all_through_one(rates, schedule):
    noted = rates(
        f"scheduler={schedule}", "scheduler.schedule.interval=epoch", "optimizer.lr=3e-3", "trainer.max_epochs=7"
    )
    expected = replayed(schedule, 3e-3, 7)
    assert noted.taken == pytest.approx([rate for rate in expected for _ in range(BATCHES)], rel=1e-6)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_under_accumulation_a_step_is_that_of_the_optimizer(rates, schedule):
    noted = rates(f"scheduler={schedule}", "trainer.accumulate_grad_batches=4", "optimizer.lr=3e-3")
    steps = EPOCHS * 2  # six batches: four, and the two that are left
    assert noted.taken == pytest.approx(replayed(schedule, 3e-3, steps), rel=1e-6)


@pytest.mark.serial
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("stop_at", [6, 9])
def test_a_resumed_run_has_the_rates_of_the_whole_one(rates, schedule, stop_at, monkeypatch):
    options = [f"scheduler={schedule}", "optimizer=sgd", *(["scheduler.patience=0"] if schedule == "plateau" else [])]
    whole = rates(*options)
    pending = {"stop": True}
    monkeypatch.setattr(GracefulStop, "_agreed", lambda self, t: pending["stop"] and t.global_step >= stop_at)
    first = rates(*options)
    assert first.stopped
    pending["stop"] = False
    second = rates(*options, run=first.run)
    assert first.taken + second.taken == whole.taken
    assert len(second.taken) == EPOCHS * BATCHES - stop_at


def test_plateau_halves_the_rate_when_the_score_stands_still_and_counts_validations(rates, monkeypatch):
    found = HeadsScore.compute
    monkeypatch.setattr(HeadsScore, "compute", lambda self: {**found(self), "score": torch.tensor(0.5)})
    noted = rates(
        "scheduler=plateau", "scheduler.patience=1", "trainer.check_val_every_n_epoch=2", "trainer.max_epochs=8"
    )
    # validations end epochs 2, 4, 6, 8: the first is the best, the third the second without a better one
    rate = noted.taken[0]
    assert noted.taken == [rate] * 6 * BATCHES + [rate / 2] * 2 * BATCHES


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["scheduler.schedule.interval=step"], "scheduler.schedule.interval: expected epoch, got 'step': val/score"),
        (["scheduler.schedule.monitor=null"], "scheduler.schedule.monitor: expected the metric"),
        (["scheduler.schedule.monitor=val/acc"], "scheduler.schedule.monitor: no metric 'val/acc' here.* val/score"),
        (["scheduler.factor=1.0"], "scheduler: Factor should be < 1.0"),
    ],
)
def test_a_plateau_that_cannot_be_followed_is_refused(rates, options, said):
    with pytest.raises(InputError, match=said):
        rates("scheduler=plateau", "trainer.max_epochs=1", *options)


def factors(steps, **options):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = cosine(optimizer, steps, **options)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found, optimizer.param_groups[0]["lr"]


def test_floor_is_what_is_left_at_the_end_of_each_cycle():
    found, end = factors(100, warmup=0.1, cycles=2, floor=0.2)
    assert end == pytest.approx(0.2)
    assert min(found[10:]) >= 0.2
    assert found[10] == found[55] == 1
    assert found[54] < 0.21
    assert found[:10] == pytest.approx([(k + 1) / 11 for k in range(10)])


def test_any_number_of_steps_cycles_and_growth_stays_between_floor_and_one():
    for steps in (1, 2, 3, 17):
        for cycles in (1, 2, 5):
            for growth in (0.5, 1.0, 2.5):
                found, end = factors(steps, warmup=0.3, cycles=cycles, growth=growth, floor=0.1)
                assert all(0.1 <= factor <= 1 for factor in found)
                assert end == pytest.approx(0.1)
    with pytest.raises(InputError, match="total_steps"):
        factors(0)
