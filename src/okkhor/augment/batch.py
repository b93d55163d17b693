"""Per-batch augmentation, on the device: images and the labels of all heads are mixed with one share (contract 2)."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class MixedLabels:
    """Labels of mixed images: `lam` parts of `a` and 1 - `lam` of `b`, the same share for every head.

    a, b: int64 (B, heads); lam: float32 (B,), between 0 and 1.
    """

    a: Tensor
    b: Tensor
    lam: Tensor

    def dominant(self) -> Tensor:
        """The labels with the larger share, int64 (B, heads): what training metrics compare with."""
        return torch.where((self.lam >= 0.5).unsqueeze(1), self.a, self.b)


class BatchAugmentation:
    """What every batch augmentation is: called with a batch and a generator, it returns a new batch.

    One contract test holds for all of them, tests/augment/test_batch.py.

    images: uint8 or float32 (B, 1, H, W), not modified; labels: int64 (B, heads); generator: the source of every
    draw, on the CPU, seeded from (seed, step) by the caller. Returns images and labels or MixedLabels.
    """

    def __call__(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | MixedLabels]:
        raise NotImplementedError(f"{type(self).__name__} does not say what it does with a batch")


class Mixing(BatchAugmentation):
    """Every image of a batch is mixed with a partner from the same batch.

    alpha: of the Beta(alpha, alpha) that draws the share; p: share of batches that are mixed. One share and one
    order of partners a batch, as in the papers.
    """

    def __init__(self, alpha: float = 1.0, p: float = 0.5) -> None:
        if not alpha > 0:
            raise ValueError(f"alpha: expected a number above 0, got {alpha}")
        self.alpha = alpha
        self.p = probability(p)

    def __call__(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | MixedLabels]:
        if torch.rand((), generator=generator) >= self.p:
            return images, labels
        kept = beta(self.alpha, generator)
        partner = torch.randperm(len(images), generator=generator)
        mixed, kept = self.mix(images, images[partner.to(images.device)], kept, generator)
        lam = torch.full((len(labels),), kept, dtype=torch.float32, device=labels.device)
        return mixed, MixedLabels(labels, labels[partner.to(labels.device)], lam)

    def mix(self, images: Tensor, others: Tensor, kept: float, generator: torch.Generator) -> tuple[Tensor, float]:
        """images, others: (B, 1, H, W), not to be modified; kept: the share drawn for `images`.

        Returns the mixed images and the share that they really have of `images`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it mixes")


def probability(p: float) -> float:
    """p itself; raises ValueError where it is none."""
    if not 0 <= p <= 1:
        raise ValueError(f"p: expected a probability from 0 to 1, got {p}")
    return p


def beta(alpha: float, generator: torch.Generator) -> float:
    """One draw of Beta(alpha, alpha) from the generator (torch.distributions takes none)."""
    gammas = torch._standard_gamma(torch.full((2,), alpha, dtype=torch.float64), generator=generator)
    return float(gammas[0] / gammas.sum())
