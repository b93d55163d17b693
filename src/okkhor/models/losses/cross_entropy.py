"""Cross-entropy with label smoothing, and what a loss of this package is."""

import copy
from typing import Self

from torch import Tensor, nn
from torch.nn import functional


class CrossEntropy(nn.Module):
    """Cross-entropy with label smoothing (https://arxiv.org/abs/1512.00567), one value a sample.

    smoothing: share of the target spread evenly over all classes. The other losses derive from this one and change
    one of three things: the value of a sample (`forward`), what is known of the classes (`of_head`,
    `learn_counts`), which samples of a batch count (`weigh`).
    """

    needs_counts = False  # whether `learn_counts` is to be called before training

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

    def of_head(self, classes: int) -> Self:
        """The loss of one head with so many classes: a copy, since heads may come to differ."""
        return copy.deepcopy(self)

    def learn_counts(self, counts: Tensor) -> None:
        """Take what the loss needs from the training images of each class, int64 (K,)."""
        raise NotImplementedError(f"{type(self).__name__} needs no counts")

    def weigh(self, losses: Tensor, real: Tensor) -> Tensor:
        """The losses of a training batch (B, heads), reweighted so that their mean is what is trained on.

        real: bool (B,), False for padding. Here every sample counts as it is.
        """
        return losses
