"""Contract 4: the network takes raw pixels; inverting, scaling and normalizing are inside it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from okkhor.errors import InputError
from okkhor.heads import Heads
from okkhor.models.backbones import build_backbone
from okkhor.models.views import Views

# of inverted competition images (ink 1, paper 0), at their own size
INK_MEAN, INK_DEVIATION = 0.08, 0.21


class GeneralizedMean(nn.Module):
    """GeM pooling (https://arxiv.org/abs/1711.02512): (B, C, h, w) -> (B, C), a mean whose exponent is learned."""

    def __init__(self, exponent: float = 3.0) -> None:
        super().__init__()
        self.exponent = nn.Parameter(torch.tensor(exponent))

    def forward(self, features: Tensor) -> Tensor:
        # float32 and a floor: powers of tiny half-precision numbers are zero, and their gradient is not finite
        powered = features.float().clamp(min=1e-6).pow(self.exponent)
        return powered.mean((2, 3)).pow(1 / self.exponent).to(features.dtype)


class Average(nn.Module):
    """Mean over the image: (B, C, h, w) -> (B, C)."""

    def forward(self, features: Tensor) -> Tensor:
        return features.mean((2, 3))


POOLS = {"avg": Average, "gem": GeneralizedMean}


class MultiHeadClassifier(nn.Module):
    """A backbone, a pooling, one linear layer for each head.

    heads: what to decide; backbone, pretrained, options: see `build_backbone`; pool: `avg` or `gem`;
    dropout: share of pooled features that are dropped in training; channels_last: memory layout, faster on most
    CPUs and tensor cores; tta: see `Views`, over which probabilities are averaged where images are read for good
    (scoring, the served graph); training and its validations see each image as it is.
    """

    def __init__(
        self,
        heads: Heads,
        backbone: str = "small",
        *,
        pretrained: bool = False,
        pool: str = "gem",
        dropout: float = 0.0,
        channels_last: bool = True,
        tta: Sequence[Sequence[float]] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if pool not in POOLS:
            raise InputError(f"model.pool: expected one of {', '.join(POOLS)}, got {pool!r}")
        self.backbone, features = build_backbone(backbone, pretrained=pretrained, options=options)
        self.pool = POOLS[pool]()
        self.dropout = nn.Dropout(dropout)
        self.views = Views(tta or ())
        self.head_layers = nn.ModuleDict({head.name: nn.Linear(features, head.classes) for head in heads})
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.memory_format)

    def prepare(self, images: Tensor) -> Tensor:
        """Raw pixels, uint8 or float on the 0-255 scale, dark ink on white, to what the backbone takes."""
        dtype = self.head_layers[next(iter(self.head_layers))].weight.dtype
        ink = 1 - images.to(dtype) / 255
        return ((ink - INK_MEAN) / INK_DEVIATION).contiguous(memory_format=self.memory_format)

    def features(self, images: Tensor) -> Tensor:
        """images (B, 1, H, W), raw pixels -> pooled features (B, C)."""
        return self.pool(self.backbone(self.prepare(images)))

    def forward(self, images: Tensor) -> list[Tensor]:
        """images (B, 1, H, W), raw pixels -> logits (B, classes) of each head, in the heads' order."""
        features = self.dropout(self.features(images))
        return [layer(features) for layer in self.head_layers.values()]
