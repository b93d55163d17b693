"""One of several batch augmentations, drawn anew for each batch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from okkhor.augment.batch import BatchAugmentation, MixedLabels, probability


class OneOf(BatchAugmentation):
    """Apply one of `choices` to a batch, each as likely as its weight says.

    p: share of batches that go to one of them; weights: any positive numbers, equal by default.
    """

    def __init__(
        self, choices: Sequence[BatchAugmentation], p: float = 1.0, weights: Sequence[float] | None = None
    ) -> None:
        if not choices:
            raise ValueError("choices: expected at least one batch augmentation")
        weights = [1.0] * len(choices) if weights is None else list(weights)
        if len(weights) != len(choices) or min(weights) <= 0:
            raise ValueError(f"weights: expected {len(choices)} numbers above 0, got {weights}")
        self.choices = list(choices)
        self.weights = torch.tensor(weights, dtype=torch.float64)
        self.p = probability(p)

    def __call__(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | MixedLabels]:
        if torch.rand((), generator=generator) >= self.p:
            return images, labels
        chosen = int(torch.multinomial(self.weights, 1, generator=generator))
        return self.choices[chosen](images, labels, generator)
