"""From configuration to objects: the only module that calls Hydra's instantiate."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.optim import Optimizer

from okkhor.augment.batch import BatchAugmentation
from okkhor.augment.image import ImagePipeline
from okkhor.data.module import ImageData
from okkhor.errors import InputError
from okkhor.heads import Heads
from okkhor.models.module import ClassifierModule


def build(node: DictConfig, key: str, *positional: Any, **extra: Any) -> Any:
    """Instantiate a `_target_` block, named `key` in messages.

    Raises InputError with the config key for an argument the target does not know or a value it refuses.
    """
    target = str(node.get("_target_"))
    try:
        check_arguments(get_object(target), node, key)
        return instantiate(node, *positional, **extra, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, InputError):
            raise cause from error
        if isinstance(cause, TypeError | ValueError | ImportError | RuntimeError) or not error.__cause__:
            raise InputError(f"{key}: {_first_line(cause)}") from error
        raise
    except (ImportError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{key}._target_: cannot load {target}: {_first_line(error)}") from error


def check_arguments(target: Callable[..., Any], node: Mapping[str, Any], key: str) -> None:
    """Refuse a key that is no argument of the target, and name the nearest that is."""
    parameters = inspect.signature(target).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for name in node:
        if str(name).startswith("_") or name in parameters:
            continue
        near = difflib.get_close_matches(str(name), parameters, 1)
        hint = f"; did you mean {key}.{near[0]}?" if near else f"; expected one of {', '.join(parameters)}"
        raise InputError(f"{key}.{name}: no such option of {target.__qualname__}{hint}")


def build_data(config: DictConfig) -> ImageData:
    """The DataModule, with the per-image augmentation in it."""
    transforms = OmegaConf.to_container(config.aug.image, resolve=True)
    pipeline = ImagePipeline(transforms) if transforms else None
    return build(config.data, "data", seed=config.seed, augmentation=pipeline)


def build_module(config: DictConfig, heads: Heads, total_steps: int = 1) -> ClassifierModule:
    """The network with its loss, optimizer, schedule and batch augmentation, ready to be fitted.

    total_steps: optimizer steps of the whole run, where a schedule asks for them with `auto`.
    """
    net = build_net(config, heads)
    optimizer = config.optimizer
    batch_augmentation: BatchAugmentation | None = build(config.aug.batch, "aug.batch") if config.aug.batch else None
    return ClassifierModule(
        heads,
        net,
        build(config.model.loss, "model.loss"),
        partial(_optimizer, optimizer),
        partial(_scheduler, config.scheduler, total_steps=total_steps),
        schedule=OmegaConf.to_container(config.scheduler.schedule, resolve=True),
        weight_decay=float(optimizer.get("weight_decay", 0.0)),
        batch_augmentation=batch_augmentation,
        seed=config.seed,
    )


def build_net(config: DictConfig, heads: Heads) -> nn.Module:
    """The network alone: raw pixels (B, 1, H, W) -> logits of each head."""
    ours = {"loss", "compile"}  # keys of the model group that are not the network's
    net = build(OmegaConf.masked_copy(config.model, [k for k in config.model if k not in ours]), "model", heads)
    if config.model.get("compile"):
        net.compile()  # in place: checkpoints keep their names, without `_orig_mod.`
    return net


def _optimizer(node: DictConfig, groups: list[dict[str, Any]]) -> Optimizer:
    return build(node, "optimizer", groups)


def _scheduler(node: DictConfig, optimizer: Optimizer, *, total_steps: int) -> Any:
    arguments = {k: total_steps if v == "auto" else v for k, v in node.items() if k != "schedule"}
    return build(OmegaConf.create(arguments), "scheduler", optimizer)


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("Error in call to target"):
        return lines[1]  # Hydra's heading, then the cause
    return lines[0] if lines else type(error).__name__
