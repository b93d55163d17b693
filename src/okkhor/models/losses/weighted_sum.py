"""The training loss: a weighted sum over heads, each taking plain or mixed labels."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from okkhor.augment.batch import MixedLabels
from okkhor.heads import Heads
from okkhor.models.losses.cross_entropy import CrossEntropy


class HeadsLoss(nn.Module):
    """Weighted sum of the heads' losses, shares from the heads block (2:1:1 gives 0.5, 0.25, 0.25).

    loss: what each head gets a copy of. Mixed labels give lam · loss(a) + (1 - lam) · loss(b): every loss of this
    package is linear in the target, so this is the loss of the mixed target.
    """

    def __init__(self, heads: Heads, loss: CrossEntropy) -> None:
        super().__init__()
        self.of_heads = nn.ModuleList(loss.of_head(head.classes) for head in heads)
        self.classes, self.shares = heads.classes, heads.shares
        # of the network's logits for whole label combinations, where it has such; these are too many to weigh
        self.of_combinations = CrossEntropy(loss.smoothing)

    @property
    def needs_labels(self) -> bool:
        return any(loss.needs_counts for loss in self.of_heads)

    def learn_labels(self, labels: Tensor) -> None:
        """Hand the classes' numbers of training images to the losses; labels: int64 (N, heads), the training's."""
        for column, (loss, classes) in enumerate(zip(self.of_heads, self.classes, strict=True)):
            if loss.needs_counts:
                loss.learn_counts(torch.bincount(labels[:, column], minlength=classes))

    def per_sample(self, logits: Sequence[Tensor], labels: Tensor | MixedLabels) -> Tensor:
        """Every sample's own loss, whatever is trained on; 0 for padding.

        logits: (B, classes) of each head; labels: (B, heads) or mixed. Returns float32 (B,).
        """
        return self._total(self._losses(logits, labels))

    def forward(
        self,
        logits: Sequence[Tensor],
        labels: Tensor | MixedLabels,
        combinations: tuple[Tensor, Tensor | MixedLabels] | None = None,
    ) -> Tensor:
        """The loss of a training batch without padding, a scalar: a mean over what the loss lets count.

        combinations: logits (B, J) of whole label combinations and labels (B, 1) among them, or mixed; their
        cross-entropy is added to the heads'. In a distributed run all processes call this together.
        """
        losses = self._losses(logits, labels)
        if combinations is not None:
            rows, which = combinations
            whole = _mixed(which, lambda column: self.of_combinations(_precise(rows), column[:, 0]))
            losses = torch.cat([losses, whole.unsqueeze(1)], 1)
        real = (labels.a if isinstance(labels, MixedLabels) else labels)[:, 0] >= 0
        return self._total(self.of_heads[0].weigh(losses, real)).mean()

    def _losses(self, logits: Sequence[Tensor], labels: Tensor | MixedLabels) -> Tensor:
        """The loss of each sample and head, (B, heads)."""

        def all_heads(plain: Tensor) -> Tensor:
            columns = zip(self.of_heads, logits, plain.unbind(1), strict=True)
            return torch.stack([loss(_precise(rows), column) for loss, rows, column in columns], 1)

        return _mixed(labels, all_heads)

    def _total(self, losses: Tensor) -> Tensor:
        """(B, heads), or one column more for label combinations -> (B,)."""
        shares = self.shares if losses.shape[1] == len(self.shares) else [*self.shares, 1.0]
        return sum(share * column for share, column in zip(shares, losses.unbind(1), strict=True))


def _mixed(labels: Tensor | MixedLabels, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """A loss of plain labels (B, columns) -> (B, …), taken of plain or mixed labels."""
    if not isinstance(labels, MixedLabels):
        return loss(labels)
    a, b = loss(labels.a), loss(labels.b)
    lam = labels.lam.view(-1, *[1] * (a.ndim - 1))
    return lam * a + (1 - lam) * b


def _precise(logits: Tensor) -> Tensor:
    """float32 even under mixed precision: sums over many classes lose digits in half precision; float64 stays so."""
    return logits if logits.dtype == torch.float64 else logits.float()
