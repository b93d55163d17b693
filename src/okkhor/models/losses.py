"""The training loss: a weighted sum over heads, each taking plain or mixed labels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from okkhor.augment.batch import MixedLabels
from okkhor.heads import Heads


class CrossEntropy(nn.Module):
    """Cross-entropy with label smoothing (https://arxiv.org/abs/1512.00567), one value a sample.

    smoothing: share of the target spread evenly over all classes.
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing: expected a share from 0 to below 1, got {smoothing}")
        self.smoothing = smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """logits (B, K), labels int64 (B,), -1 for a padded sample -> (B,), 0 for a padded sample."""
        return functional.cross_entropy(
            logits, labels, label_smoothing=self.smoothing, ignore_index=-1, reduction="none"
        )


class HeadsLoss(nn.Module):
    """Weighted sum of the heads' losses, shares from the heads block (2:1:1 gives 0.5, 0.25, 0.25)."""

    def __init__(self, heads: Heads, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss
        self.shares = heads.shares

    def per_sample(self, logits: Sequence[Tensor], labels: Tensor | MixedLabels) -> Tensor:
        """logits: (B, classes) of each head; labels: (B, heads) or mixed. Returns float32 (B,)."""
        if isinstance(labels, MixedLabels):
            return labels.lam * self._sum(logits, labels.a) + (1 - labels.lam) * self._sum(logits, labels.b)
        return self._sum(logits, labels)

    def forward(self, logits: Sequence[Tensor], labels: Tensor | MixedLabels) -> Tensor:
        """The mean over a batch without padding: a scalar."""
        return self.per_sample(logits, labels).mean()

    def _sum(self, logits: Sequence[Tensor], labels: Tensor) -> Tensor:
        total = torch.zeros(len(labels), device=labels.device)
        for column, (head_logits, share) in enumerate(zip(logits, self.shares, strict=True)):
            # float32 even under mixed precision: sums over many classes lose digits in half precision;
            # what is float64 already stays so
            precise = head_logits if head_logits.dtype == torch.float64 else head_logits.float()
            total = total + share * self.loss(precise, labels[:, column])
        return total
