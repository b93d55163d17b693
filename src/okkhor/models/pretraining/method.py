"""What a way of pretraining is: a loss over two views of the same images, and what follows an optimizer step."""

import torch
from torch import Tensor, nn

from okkhor.models.classifier import MultiHeadClassifier


class Method(nn.Module):
    """Its own parameters (projections, predictors) are trained along with the network's and left behind with them."""

    def loss(self, net: MultiHeadClassifier, first: Tensor, second: Tensor) -> Tensor:
        """A scalar; first, second: raw images (B, 1, H, W), image i of both being views of one."""
        raise NotImplementedError

    def follow(self, net: MultiHeadClassifier, done: float) -> None:
        """Called after each optimizer step; done: the share of all steps that lies behind, 0 to 1."""

    def start_from(self, net: MultiHeadClassifier) -> None:
        """Called when the network got other weights before the first step."""


def width(net: MultiHeadClassifier) -> int:
    """The number of features that the network gives: what the layers that read them, its last ones, take in."""
    return [layer for layer in net.modules() if isinstance(layer, nn.Linear)][-1].in_features


def trains_features(name: str) -> bool:
    """Whether a tensor of a network's state is of what gives the features, and not of what reads them."""
    return name.startswith(("backbone.", "pool."))


def precise(features: Tensor) -> Tensor:
    """float32 where it was less: similarities and their exponentials lose digits in half precision."""
    return features if features.dtype == torch.float64 else features.float()


def full_precision(features: Tensor) -> torch.autocast:
    """A context in which products are not rounded to half precision again."""
    return torch.autocast(features.device.type, enabled=False)
