"""Schedules that wait for a metric, stepped before the epoch's checkpoint is written.

Lightning steps them after it, and does not do so again on a resume: a run that goes on from the end of an epoch would
have one step less than the uninterrupted one.
"""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from torch.optim.lr_scheduler import ReduceLROnPlateau

from okkhor.errors import InputError


class SteppedHere(pl.LightningModule):
    """A module whose schedules Lightning steps, but for those that wait for a metric.

    It calls `step_on_plateau` at the end of each training epoch, once the epoch's metrics are logged.
    """

    def lr_scheduler_step(self, scheduler: Any, metric: Any | None) -> None:
        if metric is None:
            scheduler.step()


def check_schedule(scheduler: Any, schedule: Mapping[str, Any]) -> None:
    """Raise InputError for a schedule on a metric that is stepped when there is none yet.

    schedule: Lightning's `interval` and `monitor` of the scheduler.
    """
    if not isinstance(scheduler, ReduceLROnPlateau):
        return
    if schedule.get("interval") != "epoch":
        raise InputError(
            f"scheduler.schedule.interval: expected epoch, got {schedule.get('interval')!r}: "
            f"{schedule.get('monitor', 'what it monitors')} is known after a validation"
        )
    if not schedule.get("monitor"):
        raise InputError("scheduler.schedule.monitor: expected the metric that the rate follows, as val/score")


def step_on_plateau(trainer: pl.Trainer) -> None:
    """Step what waits for a metric; to be called at the end of an epoch, after its validation.

    Raises InputError where the run has no such metric.
    """
    for config in trainer.lr_scheduler_configs:
        if not config.reduce_on_plateau or (trainer.current_epoch + 1) % config.frequency:
            continue
        metrics = trainer.callback_metrics
        if config.monitor not in metrics:
            known = sorted(name for name in metrics if name.startswith("val/"))
            expected = f"one of {', '.join(known)}" if known else "a run that validates"
            raise InputError(f"scheduler.schedule.monitor: no metric {config.monitor!r} here; expected {expected}")
        config.scheduler.step(metrics[config.monitor])
