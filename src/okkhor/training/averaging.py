"""Averages of the weights over training: what is validated, kept in best.ckpt and so evaluated, exported and served.

Lightning's WeightAveraging swaps them in for validation, puts them into a checkpoint's `state_dict`, and keeps the
weights that are trained beside them, so that a resumed run goes on with both.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn, update_bn

from okkhor.errors import InputError

STATISTICS_BATCHES = 32  # from which batch norm's statistics of an average are taken


class ExponentialAverage(WeightAveraging):
    """Exponential moving average of weights and of batch norm's statistics, updated with every optimizer step.

    decay: what stays of the average at each step, in the long run. After n updates it is (1 + n) / (10 + n) at most,
    so that a short run is not held at its first weights (TensorFlow's ExponentialMovingAverage, `num_updates`).
    """

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=self._update)
        self.decay = decay

    def decay_after(self, updates: int) -> float:
        return min(self.decay, (1 + updates) / (10 + updates))

    def _update(self, averaged: Any, current: Any, updates: Tensor | int) -> None:
        get_ema_multi_avg_fn(self.decay_after(int(updates)))(averaged, current, updates)


class StochasticAverage(WeightAveraging):
    """Stochastic weight averaging (arXiv:1803.05407): the mean of the weights after each of the last epochs.

    start: share of the run after which weights are averaged; until then the average is the newest weights; lr: a
    learning rate to keep from then on, in place of the schedule's. Batch norm's statistics of an average are no mean
    of statistics: they are taken anew, from the first batches of the epoch, before the average is validated.
    Lightning's own StochasticWeightAveraging does so in one more epoch at the end, and validates no average before.
    """

    def __init__(self, start: float, lr: float | None = None) -> None:
        super().__init__()
        self.start, self.lr = start, lr

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return False  # in `on_train_batch_end` instead: before the epoch's validation, not after it

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, _: int) -> None:
        if self.lr is not None and trainer.current_epoch >= self._first(trainer):
            for group in trainer.optimizers[0].param_groups:
                group["lr"] = self.lr

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not trainer.is_last_batch:
            return
        assert self._average_model is not None
        if trainer.current_epoch <= self._first(trainer):
            self._average_model.n_averaged.zero_()  # an average of nothing yet takes over what it is given
        self._average_model.update_parameters(pl_module)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_validation_epoch_start(trainer, pl_module)
        if self._average_model is not None and self._average_model.n_averaged > 1:
            update_bn(_images(trainer), pl_module, device=pl_module.device)

    def _first(self, trainer: pl.Trainer) -> int:
        """The epoch whose weights are the first of the average, from 0."""
        return int(self.start * (trainer.max_epochs or 1))


def _images(trainer: pl.Trainer) -> Iterator[Tensor]:
    """Images (B, 1, H, W) of the epoch's first training batches, as they were trained on but for mixing."""
    loader = trainer.train_dataloader
    assert loader is not None
    for items in islice(iter(loader.batch_sampler), STATISTICS_BATCHES):
        yield loader.dataset.__getitems__(items)[0]


def build_averaging(settings: Any) -> list[WeightAveraging]:
    """The average that `callbacks.ema` or `callbacks.swa` asks for, if any.

    settings: the `callbacks` block, of which older runs lack both. Raises InputError when it asks for two.
    """
    ema, swa = settings.get("ema") or {}, settings.get("swa") or {}
    made: list[WeightAveraging] = []
    if ema.get("decay") is not None:
        made.append(ExponentialAverage(ema["decay"]))
    if swa.get("start") is not None:
        made.append(StochasticAverage(swa["start"], swa.get("lr")))
    if len(made) > 1:
        raise InputError(
            "callbacks.ema.decay, callbacks.swa.start: expected null for one of them, a run has one average"
        )
    return made
