"""`model.init_from=<run>`: a network that starts from the weights of another run, pretrained or trained."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from okkhor.errors import InputError
from okkhor.heads import Heads
from okkhor.models.pretraining.method import trains_features
from okkhor.runs import Run
from okkhor.training.pretraining import is_pretraining

NET, HEADS = "net.", "head_layers."


def initialize(net: nn.Module, heads: Heads, config: DictConfig) -> tuple[str, dict[str, Any]] | None:
    """Load what `model.init_from` names into a network; None where it names nothing.

    Taken over is everything but the heads, and those heads of a run trained with labels that are of the same name,
    column and classes; nothing else of that run. Returns a line that says what was loaded and what was left, and the
    record for the provenance. Raises InputError where the run has no checkpoint or its network is another one.
    """
    if config.model.get("init_from") is None:
        return None
    key = f"model.init_from={config.model.init_from}"
    if config.model.get("pretrained"):
        raise InputError("model.pretrained: expected false with model.init_from, whose weights come in place of these")
    run = Run.open(config.model.init_from)
    before, path = run.config(), run.checkpoint()
    given = _weights(run, key)
    body = {name: value for name, value in given.items() if trains_features(name)}
    wanted = {name: value for name, value in net.state_dict().items() if trains_features(name)}
    if difference := _difference(wanted, body):
        raise InputError(
            f"{key}: its network differs, {difference}; expected model.backbone, options and pool as there"
        )
    pretraining = is_pretraining(before)
    kept = [] if pretraining else _same_heads(net, heads, before, given)
    mine = net.state_dict()
    loaded = body | {name: value for name, value in given.items() if _head_of(name) in kept}
    assert loaded.keys() <= mine.keys()
    net.load_state_dict(mine | loaded)
    left = [head.name for head in heads if head.name not in kept]
    what = " and ".join(["the backbone", *([_listed("head", kept)] if kept else [])])
    anew = f"; {_listed('head', left)} {'starts' if len(left) == 1 else 'start'} anew" if left else ""
    kind = "pretraining" if pretraining else "run"
    line = f"model.init_from: {what} of the {kind} {run.path} ({path.name}){anew}"
    record = {
        "run": str(run.path),
        "checkpoint": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "pretraining": pretraining,
        "loaded": ["backbone", *kept],
        "left": left,
    }
    return line, record


def _weights(run: Run, key: str) -> dict[str, Tensor]:
    path = run.checkpoint()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    except Exception as error:  # whatever torch says of a file that is no checkpoint
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{key}: {path} cannot be read as a checkpoint: {cause}") from error
    return {name.removeprefix(NET): value for name, value in state.items() if name.startswith(NET)}


def _difference(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """The first tensor that is not there or of another shape, in words; empty where all are alike."""
    for name, value in wanted.items():
        if name not in given:
            return f"it has no {name}"
        if given[name].shape != value.shape:
            return f"{name} is {_shape(given[name])} there and {_shape(value)} here"
    more = next((name for name in given if name not in wanted), None)
    return f"it has {more}, which is not here" if more else ""


def _same_heads(net: nn.Module, heads: Heads, before: DictConfig, given: Mapping[str, Tensor]) -> list[str]:
    """Names of the heads that decide the same here and there."""
    blocks = before.data.heads
    mine = {head.name: {k: v for k, v in net.state_dict().items() if _head_of(k) == head.name} for head in heads}
    return [
        head.name
        for head in heads
        if head.name in blocks
        and blocks[head.name].get("column", head.name) == head.column
        and mine[head.name]
        and all(name in given and given[name].shape == value.shape for name, value in mine[head.name].items())
    ]


def _head_of(name: str) -> str | None:
    return name.removeprefix(HEADS).rpartition(".")[0] if name.startswith(HEADS) else None


def _shape(value: Tensor) -> str:
    return "×".join(map(str, value.shape)) or "a number"


def _listed(word: str, names: list[str]) -> str:
    return f"the {word}{'s' if len(names) > 1 else ''} {', '.join(names)}"
