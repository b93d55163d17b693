"""Class-balanced cross-entropy: rare classes count more."""

from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from okkhor.models.losses.cross_entropy import CrossEntropy


class ClassBalanced(CrossEntropy):
    """Cross-entropy, each sample weighted by its class: one value a sample.

    beta: weights are the inverse of the effective number of samples, (1 - beta^n) / (1 - beta) for a class of n
    training images (https://arxiv.org/abs/1901.05555); 0 weighs all alike, towards 1 it becomes 1 / n.
    power: besides, n to minus this power; 0 weighs all alike, 1 lets all classes count the same in sum.
    smoothing: of the target, as in CrossEntropy; each part of a smoothed target has the weight of its own class.

    Weights are scaled so that their mean over the training images is 1, which keeps the scale of loss and learning
    rate. Dividing by the weights of each batch instead, as PyTorch's mean does, would let a sample's weight depend on
    its company and on the number of processes. A class without a training image, which only validation may have,
    weighs as one with one. The weights lie in the checkpoint: a run that goes on, and one that is read again without
    its data, has those that it began with.
    """

    needs_counts = True
    weight: Tensor

    def __init__(self, beta: float = 0.999, power: float = 0.0, smoothing: float = 0.0) -> None:
        super().__init__(smoothing)
        if not 0 <= beta < 1:
            raise ValueError(f"beta: expected a number from 0 to below 1, got {beta}")
        if not power >= 0:
            raise ValueError(f"power: expected a number of at least 0, got {power}")
        self.beta, self.power = beta, power

    def of_head(self, classes: int) -> Self:
        loss = super().of_head(classes)
        loss.register_buffer("weight", torch.ones(classes))
        return loss

    def learn_counts(self, counts: Tensor) -> None:
        """Set the weights; counts: training images of each class, int64 (K,)."""
        n = counts.double().clamp(min=1)
        weight = (1 - self.beta) / (1 - self.beta**n) * n**-self.power
        mean = (counts * weight).sum() / counts.sum()
        self.weight.copy_(weight / mean)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """logits (B, K), labels int64 (B,), -1 for a padded sample -> (B,), 0 for a padded sample."""
        return functional.cross_entropy(
            logits,
            labels,
            self.weight.to(logits.dtype),
            label_smoothing=self.smoothing,
            ignore_index=-1,
            reduction="none",
        )
