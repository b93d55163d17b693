"""Lightning's Trainer from the `trainer` group, and what the group asks of the rest of a run."""

import os
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger

from okkhor.build import build
from okkhor.errors import InputError
from okkhor.training.apex import PRECISION, check_apex, with_apex
from okkhor.training.checkpoint_io import WholeCheckpointIO
from okkhor.training.precision import fitting_precision
from okkhor.training.scaling import scaled
from okkhor.training.smddp import check_smddp

OURS = ("max_restarts", "scale_lr", "opt_level")  # keys of the group that are not Lightning's


def check_trainer(trainer: DictConfig) -> None:
    """Raise InputError for a library or a device that is not here, before any data is read."""
    strategy = trainer.get("strategy")
    if isinstance(strategy, DictConfig) and strategy.get("_target_") == "okkhor.training.smddp.smddp_strategy":
        check_smddp()
    if "opt_level" in trainer:
        check_apex()
        if not torch.cuda.is_available():
            raise InputError("trainer=apex: no CUDA GPU here, which its optimizers need; use trainer=cpu or ddp_sim")
    gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    if trainer.get("precision") == "16-mixed" and (trainer.get("accelerator") == "cpu" or not gpu):
        raise InputError("trainer.precision=16-mixed: needs a GPU, none is used here; expected bf16-mixed or 32-true")
    if trainer.get("accelerator") == "gpu" and not torch.cuda.is_available():
        raise InputError("trainer: no CUDA GPU here; use trainer=cpu, or trainer=ddp_sim for several processes")
    if trainer.get("accelerator") == "mps" and not torch.backends.mps.is_available():
        raise InputError("trainer: no Apple GPU here; use trainer=cpu")
    if trainer.get("sync_batchnorm") and trainer.get("accelerator") == "cpu":
        raise InputError("trainer.sync_batchnorm: a CPU has none; expected false, or trainer=ddp_sim")


def build_trainer(
    config: DictConfig, *, callbacks: list[Any], logger: list[Logger], scratch: str = os.devnull
) -> pl.Trainer:
    """Lightning's Trainer; raises InputError for a device or a library that is not there.

    scratch: where Lightning writes by itself; by default nowhere, a run's files go where the run directory says.
    """
    check_trainer(config.trainer)
    node = OmegaConf.masked_copy(config.trainer, [key for key in config.trainer if key not in OURS])
    if "opt_level" in config.trainer:
        node.precision = PRECISION[config.trainer.opt_level]
    elif node.precision == "auto":
        node.precision, _ = fitting_precision(node.accelerator)
    return build(
        node,
        "trainer",
        callbacks=callbacks,
        logger=logger or False,
        plugins=[WholeCheckpointIO()],
        enable_model_summary=False,
        enable_progress_bar=any(isinstance(callback, pl.callbacks.ProgressBar) for callback in callbacks),
        default_root_dir=scratch,
    )


def as_trained(config: DictConfig, processes: int) -> tuple[DictConfig, list[str]]:
    """The configuration as the trainer wants it for so many processes, and what was chosen, a line each.

    The run's own configuration stays as it was typed: a resumed run adapts it anew.
    """
    lines = []
    if "opt_level" in config.trainer:
        config, line = with_apex(config)
        lines.append(line)
    elif config.trainer.precision == "auto":
        precision, why = fitting_precision(config.trainer.accelerator)
        lines.append(f"trainer.precision=auto: {precision}, {why}")
    config, line = scaled(config, processes)
    if processes > 1 or config.trainer.get("scale_lr", "none") != "none":
        lines.append(line)
    return config, lines
