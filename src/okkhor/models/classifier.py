"""Contract 4: the network takes raw pixels; inverting, scaling, normalizing and deciding are inside it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from okkhor.errors import InputError
from okkhor.heads import Heads
from okkhor.models.backbones import build_backbone
from okkhor.models.combinations import CombinationHead
from okkhor.models.decision import RULES, PriorCorrection
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


class GeneralizedMeans(nn.Module):
    """A GeM pooling for each of several heads, which look at different places: (B, C, h, w) -> (B, heads, C)."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.of_heads = nn.ModuleList([GeneralizedMean() for _ in range(heads)])

    def forward(self, features: Tensor) -> Tensor:
        return torch.stack([pool(features) for pool in self.of_heads], 1)


class Average(nn.Module):
    """Mean over the image: (B, C, h, w) -> (B, C)."""

    def forward(self, features: Tensor) -> Tensor:
        return features.mean((2, 3))


POOLS: dict[str, Callable[[int], nn.Module]] = {  # from the number of heads
    "avg": lambda heads: Average(),
    "gem": lambda heads: GeneralizedMean(),
    "gem_each": GeneralizedMeans,
}


class MultiHeadClassifier(nn.Module):
    """A backbone, a pooling, one linear layer for each head, a rule that decides by their logits.

    heads: what to decide; backbone, pretrained, options: see `build_backbone`; pool: `avg`, `gem` or `gem_each`;
    dropout: share of pooled features that are dropped in training; channels_last: memory layout, faster on most
    CPUs and tensor cores; tta: see `Views`, over which probabilities are averaged where images are read for good
    (scoring, the served graph); training and its validations see each image as it is; decision: `argmax`, or
    `prior_corrected` with a `power`, see `PriorCorrection`; grapheme_head: one linear layer over whole label
    combinations in place of those of the heads, see `CombinationHead`.
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
        decision: str = "argmax",
        power: float | None = None,
        grapheme_head: bool = False,
    ) -> None:
        super().__init__()
        if pool not in POOLS:
            raise InputError(f"model.pool: expected one of {', '.join(POOLS)}, got {pool!r}")
        if decision not in RULES:
            raise InputError(f"model.decision: expected one of {', '.join(RULES)}, got {decision!r}")
        if pool == "gem_each" and grapheme_head:
            raise InputError("model.pool: gem_each pools for each head, a grapheme head is one; expected gem or avg")
        self.heads = heads
        self.backbone, features = build_backbone(backbone, pretrained=pretrained, options=options)
        self.pool = POOLS[pool](len(heads))
        self.dropout = nn.Dropout(dropout)
        self.views = Views(tta or ())
        self.head_layers = nn.ModuleDict()
        self.combinations: CombinationHead | None = None
        if grapheme_head:
            self.combinations = CombinationHead(heads, features)
        else:
            self.head_layers.update({head.name: nn.Linear(features, head.classes) for head in heads})
        self.decision = PriorCorrection(heads, power) if decision == "prior_corrected" else None
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.memory_format)

    def prepare(self, images: Tensor) -> Tensor:
        """Raw pixels, uint8 or float on the 0-255 scale, dark ink on white, to what the backbone takes."""
        last = self.combinations.layer if self.combinations is not None else next(iter(self.head_layers.values()))
        ink = 1 - images.to(last.weight.dtype) / 255
        return ((ink - INK_MEAN) / INK_DEVIATION).contiguous(memory_format=self.memory_format)

    def features(self, images: Tensor) -> Tensor:
        """images (B, 1, H, W), raw pixels -> pooled features (B, C), or (B, heads, C) where each head has its own."""
        return self.pool(self.backbone(self.prepare(images)))

    def forward(self, images: Tensor) -> list[Tensor]:
        """images (B, 1, H, W), raw pixels -> logits (B, classes) of each head, in the heads' order.

        With a grapheme head these are logarithms of summed probabilities, and its own logits (B, J) come last.
        """
        return self.read_off(self.dropout(self.features(images)))

    def read_off(self, features: Tensor) -> list[Tensor]:
        """Pooled features, as `features` gives them -> what `forward` gives."""
        if self.combinations is None:
            each = features.unbind(1) if features.ndim == 3 else [features] * len(self.head_layers)
            return [layer(own) for layer, own in zip(self.head_layers.values(), each, strict=True)]
        whole = self.combinations(features)
        return [*self.combinations.of_heads(whole), whole]

    def decided(self, logits: Sequence[Tensor]) -> Sequence[Tensor]:
        """The heads' logits as the rule changes them: what is read is their argmax, how surely their softmax."""
        return logits if self.decision is None else self.decision(logits)

    @property
    def needs_labels(self) -> bool:
        return self.combinations is not None or self.decision is not None

    def learn_labels(self, labels: Tensor) -> None:
        """Take what is to be known of the training labels, int64 (N, heads), before there is an optimizer.

        A checkpoint brings it, too: a network whose weights are loaded needs no labels.
        """
        for part in (self.combinations, self.decision):
            if part is not None:
                part.learn_labels(labels)
