"""A training step under Lightning against the same step in a bare PyTorch loop.

The same network (model=small), loss, AdamW, one-cycle schedule, and uint8 batches of the size and number of images that
training has, already in memory, on the CPU. Both keep the epoch's loss and recalls (torchmetrics) at every step.
Lightning has besides, as `okkhor.training.fit` gives it: its Trainer, the CSV logger, the callbacks (stop on signals,
stop on NaN, speed, checkpoints; no bar), and the module's own seeding and logging. torch computes with one thread:
several wait for one another at every operation, and where another process holds a core, that wait is most of a step.

The two take turns step by step, not run by run, in one process: the goal is a few percent, less than the
difference between two runs on a machine that does something else, too. The first steps and everything
before and after the steps (set-up, validation, checkpoints) do not count.
"""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from torch.utils.data import DataLoader

from okkhor.benchmarks.rounds import Figure, Goal, Side, Tick
from okkhor.benchmarks.setting import Setting
from okkhor.heads import Heads
from okkhor.models.module import Batch, ClassifierModule
from okkhor.runs import Run
from okkhor.training.build import build_module
from okkhor.training.callbacks import build_callbacks
from okkhor.training.fit import quiet
from okkhor.training.loggers import build_loggers
from okkhor.training.trainers import build_trainer

WARM_UP = 5  # steps: memory pools and the choice of kernels
GOAL = Goal(1.03)


def measure(setting: Setting, tick: Tick) -> list[Figure]:
    """One figure: milliseconds a step of each."""
    config = setting.config(["data=bengali", "model=small", "aug=none", "trainer=cpu", "trainer.max_epochs=1"])
    heads, _ = setting.task()
    lightning, bare = [], []
    for number in range(setting.rounds):
        with one_thread():
            turns = take_turns(config, heads, setting.steps, seed=number)
        lightning.append(1000 * sum(turns.lightning) / len(turns.lightning))
        bare.append(1000 * sum(turns.bare) / len(turns.bare))
        tick(f"step: round {number + 1} of {setting.rounds}")
    ours = Side("Lightning", "ms", lightning)
    return [Figure("step", "Lightning / bare loop", ours, Side("bare PyTorch", "ms", bare), GOAL)]


@contextmanager
def one_thread() -> Iterator[None]:
    """torch computes with one thread meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass
class Turns:
    """Batches for Lightning's Trainer; before each is handed over, the bare loop takes a step on it.

    module: the bare loop's; trained: Lightning's, its equal; bare, lightning: seconds of each step after the
    warm-up. Lightning's is the time from handing over a
    batch to being asked for the next: the whole step with whatever stands around it.
    """

    batches: list[Batch]
    module: ClassifierModule
    trained: ClassifierModule
    bare: list[float] = field(default_factory=list)
    lightning: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        made = self.module.configure_optimizers()
        self.optimizer, self.scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]

    def __len__(self) -> int:
        return len(self.batches) + 1  # Lightning is asked once more than it is timed: its last step ends the epoch

    def __iter__(self) -> Iterator[Batch]:
        handed = 0.0
        for number, batch in enumerate([*self.batches, self.batches[0]]):
            start = time.perf_counter()
            if number > WARM_UP:
                self.lightning.append(start - handed)
            self.step(*batch)
            handed = time.perf_counter()
            if WARM_UP <= number < len(self.batches):
                self.bare.append(handed - start)
            yield batch

    @torch.enable_grad()
    def step(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        logits = self.module.net(images)
        loss = self.module.loss(logits, labels)
        self.module.train_meter.update(loss, len(labels), logits, labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()


def take_turns(config: DictConfig, heads: Heads, steps: int, seed: int) -> Turns:
    """Train two equal modules side by side, for the warm-up, `steps` steps and one more."""
    quiet()
    generator = torch.Generator().manual_seed(seed)
    size, samples = (1, *config.data.size), config.data.batch_size
    batches = [
        (
            torch.randint(0, 256, (samples, *size), dtype=torch.uint8, generator=generator),
            torch.stack([torch.randint(0, n, (samples,), generator=generator) for n in heads.classes], 1),
        )
        for _ in range(WARM_UP + steps)
    ]
    modules = []
    for _ in range(2):
        pl.seed_everything(seed, verbose=False)
        modules.append(build_module(config, heads, total_steps=len(batches) + 1))
    turns = Turns(batches, *modules)
    run = Run.create(config.paths.runs, "bench")
    callbacks = [c for c in build_callbacks(run, config.callbacks) if not isinstance(c, pl.callbacks.ProgressBar)]
    trainer = build_trainer(config, callbacks=callbacks, logger=build_loggers(run, config.logger, None))
    with redirect_stdout(io.StringIO()):  # the epoch's line
        trainer.fit(turns.trained, train_dataloaders=turns, val_dataloaders=DataLoader(batches[:1], batch_size=None))
    return turns
