"""model.backbone=python/<module>.<Class>: a network of one's own in place of a library's."""

import sys

import pytest
import torch

from okkhor.errors import InputError
from okkhor.heads import Heads
from okkhor.models.backbones import build_backbone
from okkhor.models.classifier import MultiHeadClassifier

HEADS = Heads.from_config({"root": {"classes": 6}, "vowel": {"classes": 4}})
NETS = """
import torch
from torch import nn

class Wide(nn.Sequential):
    def __init__(self, width: int = 12) -> None:
        super().__init__(nn.Conv2d(1, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU())

class Flat(Wide):
    def forward(self, images):
        return super().forward(images).mean((2, 3))

class Several(Wide):
    def forward(self, images):
        return [super().forward(images)]

class Colored(nn.Conv2d):
    def __init__(self) -> None:
        super().__init__(3, 4, 3)

class Broken(nn.Module):
    def __init__(self) -> None:
        raise KeyError("weights")
"""


@pytest.fixture(autouse=True)
def _nets(tmp_path, monkeypatch):
    (tmp_path / "own_nets.py").write_text(NETS)
    monkeypatch.setenv("OKKHOR_ROOT", str(tmp_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("own_nets", None)


def test_it_is_made_with_its_options_asked_for_its_features_and_otherwise_like_any_other():
    network, features = build_backbone("python/own_nets.Wide", options={"width": 5})
    assert features == 5
    assert network.training  # and the blank images left no trace in its batch norm
    assert int(network[1].num_batches_tracked) == 0
    net = MultiHeadClassifier(HEADS, "python/own_nets.Wide").eval()
    logits = net(torch.randint(0, 256, (3, 1, 40, 52), dtype=torch.uint8))
    assert [tuple(x.shape) for x in logits] == [(3, 6), (3, 4)]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("Flat", {}, r"own_nets\.Flat: gives \(2, 12\) for images \(2, 1, 64, 64\); expected features \(2, C, h, w\)"),
        ("Several", {}, r"gives list"),
        ("Colored", {}, r"takes no images \(2, 1, 64, 64\): RuntimeError"),
        ("Broken", {}, r"cannot be made: KeyError: 'weights' \(own_nets\.py:\d+\)"),
        ("Wide", {"pretrained": True}, r"model\.pretrained"),
        ("Wide", {"options": {"depth": 3}}, r"^model\.options: .*'depth'$"),
        ("Wide", {"options": {"widths": [4], "blocks": [0]}}, r"model\.options=null"),
    ],
    ids=["flat", "several", "colored", "broken", "pretrained", "unknown-option", "options-of-small"],
)
def test_one_that_does_not_fit_is_refused_with_its_name(name, arguments, said):
    with pytest.raises(InputError, match=said):
        build_backbone(f"python/own_nets.{name}", **arguments)
