"""Focal loss: what is read right already counts less."""

import torch
from torch import Tensor
from torch.nn import functional

from okkhor.models.losses.cross_entropy import CrossEntropy


class Focal(CrossEntropy):
    """Focal loss (https://arxiv.org/abs/1708.02002), one value a sample: -Σ target · (1 - p)^gamma · log p.

    gamma: how fast a sample loses weight as it is read better; 0 is cross-entropy, the paper's choice is 2.
    smoothing: of the target, as in CrossEntropy.
    """

    def __init__(self, gamma: float = 2.0, smoothing: float = 0.0) -> None:
        super().__init__(smoothing)
        if not gamma >= 0:
            raise ValueError(f"gamma: expected a number of at least 0, got {gamma}")
        self.gamma = gamma

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """logits (B, K), labels int64 (B,), -1 for a padded sample -> (B,), 0 for a padded sample."""
        log_p = functional.log_softmax(logits, 1)
        # a floor: at p = 1 the gradient of a power below 1 is infinite, and infinite times 0 is no number
        each = -log_p * (-torch.expm1(log_p)).clamp(min=1e-12).pow(self.gamma)
        real = labels >= 0
        own = each.gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1)
        loss = (1 - self.smoothing) * own + self.smoothing * each.mean(1)
        return torch.where(real, loss, 0.0)
