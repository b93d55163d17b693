"""A network again from its weights and its configuration: the safetensors format, which holds no code."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from okkhor.errors import InputError
from okkhor.models.backbones import OWN
from okkhor.models.classifier import MultiHeadClassifier
from okkhor.serving.bundle import Bundle
from okkhor.serving.graph import ServedGraph

NOT_THE_NETWORKS = ("_target_", "loss", "compile", "pretrained", "init_from")  # keys of the model group
TARGET = "okkhor.models.classifier.MultiHeadClassifier"


def net_from_weights(bundle: Bundle, path: Path) -> nn.Module:
    """The served graph of a bundle's `model` block with the weights of a safetensors file.

    Raises InputError for a network that is not this package's: only its own class is ever made, and no module that
    a bundle names is imported.
    """
    from safetensors.torch import load_file

    target = bundle.model.get("_target_")
    if target != TARGET:
        raise InputError(f"model._target_: {target} is not built from a bundle; expected {TARGET}, or use onnx")
    if str(bundle.model.get("backbone")).startswith(OWN):
        raise InputError(
            f"format=safetensors: weights alone do not bring the code of {bundle.model['backbone']}; expected another "
            "format, as onnx"
        )
    options = {key: value for key, value in bundle.model.items() if key not in NOT_THE_NETWORKS}
    net = MultiHeadClassifier(bundle.heads, **options)
    net.load_state_dict(load_file(path))
    return ServedGraph(net).eval()
