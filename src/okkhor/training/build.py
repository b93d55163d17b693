"""The parts of a run from its configuration: data, network, module."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.optim import Optimizer

from okkhor.augment.batch import BatchAugmentation
from okkhor.augment.image import ImagePipeline
from okkhor.build import build
from okkhor.data.module import ImageData
from okkhor.heads import Heads
from okkhor.models.module import ClassifierModule
from okkhor.models.pretraining.module import PretrainModule
from okkhor.training.pretraining import build_pretrain_data, build_pretrain_module, is_pretraining


def build_data(config: DictConfig) -> ImageData:
    """The DataModule, with the per-image augmentation in it."""
    if is_pretraining(config):
        return build_pretrain_data(config)
    transforms = OmegaConf.to_container(config.aug.image, resolve=True)
    pipeline = ImagePipeline(transforms) if transforms else None
    return build(config.data, "data", seed=config.seed, augmentation=pipeline)


def build_module(
    config: DictConfig, heads: Heads, total_steps: int = 1, labels: Callable[[], np.ndarray] | None = None
) -> ClassifierModule | PretrainModule:
    """The network with its loss, optimizer, schedule and batch augmentation, ready to be fitted; or pretrained.

    total_steps: optimizer steps of the whole run, where a schedule asks for them with `auto`; one that is stepped
    by the epoch gets the number of epochs; labels: gives the training rows' labels, int64 (N, heads); called where
    network or loss learn something of them, which without it comes from the checkpoint that is to be loaded.
    """
    net = build_net(config, heads)
    schedule: Any = OmegaConf.to_container(config.scheduler.schedule, resolve=True)
    length = total_steps if schedule.get("interval") == "step" else config.trainer.max_epochs
    optimizer, scheduler = partial(_optimizer, config.optimizer), partial(_scheduler, config.scheduler, length=length)
    if is_pretraining(config):
        return build_pretrain_module(config, heads, net, optimizer, scheduler, total_steps)
    batch_augmentation: BatchAugmentation | None = build(config.aug.batch, "aug.batch") if config.aug.batch else None
    module = ClassifierModule(
        heads,
        net,
        build(config.model.loss, "model.loss"),
        optimizer,
        scheduler,
        schedule=schedule,
        weight_decay=float(config.optimizer.get("weight_decay", 0.0)),
        batch_augmentation=batch_augmentation,
        seed=config.seed,
    )
    if labels is not None:
        module.learn_labels(lambda: torch.from_numpy(labels()))
    return module


def build_net(config: DictConfig, heads: Heads) -> nn.Module:
    """The network alone: raw pixels (B, 1, H, W) -> logits of each head."""
    ours = {"loss", "compile", "init_from"}  # keys of the model group that are not the network's
    net = build(OmegaConf.masked_copy(config.model, [k for k in config.model if k not in ours]), "model", heads)
    if config.model.get("compile"):
        net.compile()  # in place: checkpoints keep their names, without `_orig_mod.`
    return net


def _optimizer(node: DictConfig, groups: list[dict[str, Any]]) -> Optimizer:
    return build(node, "optimizer", groups)


def _scheduler(node: DictConfig, optimizer: Optimizer, *, length: int) -> Any:
    """length: of the whole run, in what the schedule is stepped by."""
    arguments = {k: length if v == "auto" else v for k, v in node.items() if k != "schedule"}
    return build(OmegaConf.create(arguments), "scheduler", optimizer)
