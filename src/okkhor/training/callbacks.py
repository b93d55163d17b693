"""What watches a run: checkpoints, a clean stop, a loss that is none, progress for eyes and for logs."""

import itertools
import signal
import sys
import time
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from torch import Tensor

from okkhor.errors import NonFiniteLossError, StoppedError
from okkhor.runs import Run
from okkhor.training.averaging import build_averaging


def checkpoints(run: Run, monitor: str, mode: str) -> list[ModelCheckpoint]:
    """best.ckpt by the monitored metric, last.ckpt after every epoch; both keep their one name."""
    folder = run.path / "checkpoints"
    always: dict[str, Any] = {"dirpath": folder, "enable_version_counter": False, "save_on_train_epoch_end": True}
    return [
        ModelCheckpoint(filename="best", monitor=monitor, mode=mode, save_top_k=1, **always),
        LastCheckpoint(filename="last", save_top_k=1, **always),
    ]


class LastCheckpoint(ModelCheckpoint):
    """The state after the newest epoch; a class of its own, since Lightning keeps one state for each class."""


ASK_EVERY = 8  # batches: to ask the other ranks each time would make a GPU wait for its processor


class GracefulStop(Callback):
    """Ctrl-C or SIGTERM: finish the batch, save last.ckpt, stop. A second Ctrl-C stops at once.

    SIGUSR1 and SIGUSR2, by which Slurm announces the end of a job's time, do the same.

    A signal that comes during validation is answered when the epoch's own checkpoint has been written.
    """

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)

    def __init__(self, run: Run) -> None:
        self.run = run
        self.asked: signal.Signals | None = None
        self.before: dict[signal.Signals, Any] = {}
        self.speaks = True  # one of all ranks

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.speaks = trainer.is_global_zero
        # in place of Lightning's own handler for SIGTERM, set by now, which speaks to the other ranks from within
        # the signal: they hang where they did not get one, too
        self.before = {number: signal.signal(number, self._ask) for number in self.signals}

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return  # torchrun passes Ctrl-C on as SIGTERM to ranks that the terminal has told already
        self.asked = signal.Signals(number)
        if self.speaks:
            print("\nstopping after this batch; once more to stop at once", file=sys.stderr, flush=True)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.world_size > 1 and trainer.strategy.root_device.type == "cuda" and batch_idx % ASK_EVERY:
            return
        # the last batch of an epoch: validation and the epoch's own checkpoint follow, and are waited for
        if self._agreed(trainer) and not trainer.is_last_batch:
            trainer.save_checkpoint(self.run.last)
            raise self._stopped(
                f"after batch {trainer.fit_loop.epoch_loop.batch_idx + 1} of epoch {trainer.current_epoch + 1}"
            )

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._agreed(trainer):
            raise self._stopped(f"before epoch {trainer.current_epoch + 1}")

    def _stopped(self, where: str) -> StoppedError:
        return StoppedError(f"stopped {where}; go on with: python train.py resume={self.run.path}")

    def _agreed(self, trainer: pl.Trainer) -> bool:
        """True on every rank as soon as one was asked: a rank that stops alone leaves the others waiting."""
        if trainer.world_size == 1:
            return self.asked is not None
        flag = torch.tensor(self.asked is not None, dtype=torch.int32, device=trainer.strategy.root_device)
        return bool(trainer.strategy.reduce(flag, reduce_op="sum"))


class StopOnNonFiniteLoss(Callback):
    """End the run at the first loss that is NaN or infinite, and name the batch that gave it."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if isinstance(loss, Tensor) and not torch.isfinite(loss):
            raise NonFiniteLossError(
                f"the loss is {float(loss)} at epoch {trainer.current_epoch}, batch {batch_idx} (step "
                f"{trainer.global_step}; store rows {self._rows(trainer, batch_idx)}); a lower optimizer.lr or "
                "trainer.gradient_clip_val=1 helps when it grew, damaged images or labels do it at once"
            )

    @staticmethod
    def _rows(trainer: pl.Trainer, batch_idx: int) -> str:
        sampler = trainer.train_dataloader.batch_sampler
        batch = next(itertools.islice(iter(sampler), batch_idx, None), [])
        return ", ".join(str(row) for _, row in batch[:8]) + (", …" if len(batch) > 8 else "")


class Speed(Callback):
    """Images a second over the epoch so far, and the time left for the whole run; read by the progress displays."""

    def __init__(self) -> None:
        self.images_per_second = 0.0
        self.seconds_left = float("nan")
        self._start = self._run_start = time.monotonic()
        self._images = 0
        self._epochs_before = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._run_start = time.monotonic()
        self._epochs_before = trainer.current_epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start, self._images = time.monotonic(), 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._images += len(batch[0]) * trainer.world_size
        self.images_per_second = self._images / max(time.monotonic() - self._start, 1e-9)
        done = trainer.current_epoch - self._epochs_before + (batch_idx + 1) / max(trainer.num_training_batches, 1)
        if trainer.max_epochs and trainer.max_epochs > 0:
            left = trainer.max_epochs - self._epochs_before - done
            self.seconds_left = (time.monotonic() - self._run_start) / max(done, 1e-9) * left


class Bar(RichProgressBar):
    """A bar an epoch with the score, images a second and the time left for the run."""

    def __init__(self, speed: Speed) -> None:
        super().__init__(leave=False)
        self.speed = speed

    def _get_train_description(self, current_epoch: int) -> str:
        """Epochs counted from one, as in the lines; Lightning counts from zero."""
        text = f"Epoch {current_epoch + 1}" + (f"/{self.trainer.max_epochs}" if self.trainer.max_epochs else "")
        return text.ljust(len(self.validation_description))  # as wide as the other bar's, which takes its place

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        metrics = trainer.callback_metrics
        shown = {name: metrics.get(name) for name in ("val/score", "val/knn_score")}
        shown = {"loss": metrics.get("train/loss_step"), **shown}
        values: dict[str, Any] = {name: f"{float(value):.3f}" for name, value in shown.items() if value is not None}
        values["images/s"] = f"{self.speed.images_per_second:.0f}"
        values["left"] = clock(self.speed.seconds_left)
        return values


class EpochLines(Callback):
    """One line an epoch, for logs and for terminals alike."""

    def __init__(self, speed: Speed) -> None:
        self.speed = speed

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        by = "val/knn_" if "val/knn_score" in metrics else "val/"  # a pretraining has no heads that read
        recalls = ", ".join(
            f"{name.removeprefix(f'{by}recall_')} {value:.3f}"
            for name, value in metrics.items()
            if name.startswith(f"{by}recall_")
        )
        score = f"{by}score {metrics[f'{by}score']:.4f} ({recalls})" if f"{by}score" in metrics else "not validated"
        of = "val/loss" if by == "val/" and "val/loss" in metrics else "train/loss_step"
        loss = metrics.get(of, float("nan"))
        print(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {of} {loss:.3f}"
            f"  {score}  {self.speed.images_per_second:.0f} images/s  left {clock(self.speed.seconds_left)}",
            flush=True,
        )


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss; a dash while unknown."""
    if not 0 <= seconds < float("inf"):
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def build_callbacks(run: Run, settings: Any) -> list[Callback]:
    """The callbacks of a run; settings: the `callbacks` block of the configuration."""
    # the average first: a checkpoint that a stop writes within an epoch holds the step that has just been taken
    made: list[Callback] = [*build_averaging(settings), GracefulStop(run), StopOnNonFiniteLoss()]
    monitor, mode = settings.checkpoint.monitor, settings.checkpoint.mode
    if settings.early_stopping.patience is not None:
        made.append(EarlyStopping(monitor, mode=mode, patience=settings.early_stopping.patience))
    if settings.progress:
        speed = Speed()
        made += [speed, EpochLines(speed)]
        if sys.stderr.isatty() and sys.stdout.isatty():
            made.append(Bar(speed))
    return [*made, *checkpoints(run, monitor, mode)]
