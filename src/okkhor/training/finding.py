"""Lightning's finders of a learning rate and of a batch size, on a run as it is configured; nothing trained is kept."""

import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import MethodType
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.tuner import Tuner

from okkhor.data.module import ImageData
from okkhor.errors import InputError
from okkhor.models.module import ClassifierModule
from okkhor.training.build import build_data, build_module
from okkhor.training.trainers import build_trainer

WARM, SIDES = 10, 5  # first steps that say nothing yet; steps at either side of one over which its slope is taken


@dataclass(frozen=True)
class Rates:
    """A test of learning rates (arXiv:1506.01186): rates (n,), rising, and the smoothed loss at each.

    steepest: where the loss falls fastest for the same factor of the rate; suggested by Lightning: for the same
    difference, which favors small rates; None where there are too few steps to tell.
    """

    rates: np.ndarray
    losses: np.ndarray
    steepest: float | None
    lightning: float | None


@dataclass(frozen=True)
class Batches:
    """Batch sizes that a training step was tried with, rising, and the images a second of each; the rest did not fit.

    most: the largest that was asked for.
    """

    sizes: list[int]
    speeds: list[float]
    most: int


def find_rate(config: DictConfig, *, least: float, most: float, steps: int) -> Rates:
    """Raise the learning rate from `least` to `most` within `steps` steps, until the loss is four times its best."""
    if not (0 < least < most and steps > 2 * WARM):
        raise InputError(f"--from, --to, --steps: expected 0 < from < to and more than {2 * WARM} steps")
    with _prepared(config) as (trainer, module, data):
        options = {"min_lr": least, "max_lr": most, "num_training": steps, "update_attr": False}
        found = Tuner(trainer).lr_find(module, datamodule=data, **options)
        assert found is not None
    rates, losses = (np.array(found.results[name][:-1], float) for name in ("lr", "loss"))
    losses *= _bias(len(losses))
    return Rates(rates, losses, _steepest(rates, losses), found.suggestion(skip_begin=WARM))


def find_batch_size(config: DictConfig, *, least: int, most: int) -> Batches:
    """Double the batch, from `least` to `most` or until memory or the training images are at their end."""
    if not 1 <= least <= most:
        raise InputError(f"--from, --to: expected batch sizes of at least 1, rising, got {least} and {most}")
    times: dict[int, list[float]] = {}
    with _prepared(config) as (trainer, module, data):
        most = min(most, len(data.rows("train")))

        def note(self: ClassifierModule, outputs: Any, batch: Any, batch_idx: int) -> None:
            if len(batch[0]) == data.batch_size:  # not what was left of the images
                times.setdefault(data.batch_size, []).append(time.monotonic())

        module.on_train_batch_end = MethodType(note, module)
        # it ends at max_val without having tried it, so it is told of one more doubling
        steps = {"mode": "power", "steps_per_trial": 4, "init_val": least, "max_val": 2 * most}
        data.batch_size = least
        # Lightning halves what did not fit, a batch of one to none at all
        with suppress(ZeroDivisionError):
            Tuner(trainer).scale_batch_size(module, datamodule=data, **steps)
    tried = {size: stamps for size, stamps in times.items() if len(stamps) > 1 and size <= most}
    if not tried:
        raise InputError("data.batch_size: not even one image fits into memory; expected a smaller model or data.size")
    sizes = sorted(tried)
    return Batches(sizes, [size / float(np.median(np.diff(tried[size]))) for size in sizes], most)


@contextmanager
def _prepared(config: DictConfig) -> Iterator[tuple[pl.Trainer, ClassifierModule, ImageData]]:
    """Trainer, network and data of one process, that log nothing, validate nothing, and write to a passing folder."""
    config = config.copy()
    OmegaConf.set_struct(config, False)
    alone = {"devices": 1, "num_nodes": 1, "strategy": "auto", "max_epochs": 10**6, "check_val_every_n_epoch": 10**6}
    config.trainer = OmegaConf.merge(config.trainer, alone, {"enable_checkpointing": False})
    pl.seed_everything(config.seed, verbose=False)
    with tempfile.TemporaryDirectory(prefix="okkhor-find-") as scratch:
        trainer = build_trainer(config, callbacks=[], logger=[], scratch=scratch)
        data = build_data(config)
        data.prepare_data()
        yield trainer, build_module(config, data.heads, total_steps=10**6), data
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _bias(steps: int) -> np.ndarray:
    """What makes Lightning's running mean of losses one, (steps,): it divides by the weight of a step too many."""
    weight = 1 - 0.98 ** np.arange(1, steps + 2)
    return weight[1:] / weight[:-1]


def _steepest(rates: np.ndarray, losses: np.ndarray) -> float | None:
    """The rate around which the loss falls most along the logarithm of the rate, by a line through its neighbors."""
    best = (math.inf, None)
    for middle in range(WARM + SIDES, len(rates) - SIDES):
        part = slice(middle - SIDES, middle + SIDES + 1)
        if np.isfinite(losses[part]).all():
            slope = np.polyfit(np.log(rates[part]), losses[part], 1)[0]
            best = min(best, (slope, float(rates[middle])))
    return best[1] if best[0] < 0 else None
