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

    images: uint8 or float32 (B, 1, H, W), not modified; labels: int64 (B, heads); generator: the source of every
    draw, on the CPU, seeded from (seed, step) by the caller. Returns images and labels or MixedLabels.
    """

    def __call__(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | MixedLabels]:
        raise NotImplementedError(f"{type(self).__name__} does not say what it does with a batch")


class CutMix(BatchAugmentation):
    """Paste a box of another image of the batch (https://arxiv.org/abs/1905.04899).

    alpha: of the Beta(alpha, alpha) that draws the box's share of the area; p: share of batches that are mixed.
    One box and one partner order a batch, as in the paper; `lam` is the exact share of pixels left.
    """

    def __init__(self, alpha: float = 1.0, p: float = 0.5) -> None:
        if not alpha > 0:
            raise ValueError(f"alpha: expected a number above 0, got {alpha}")
        if not 0 <= p <= 1:
            raise ValueError(f"p: expected a probability from 0 to 1, got {p}")
        self.alpha = alpha
        self.p = p

    def __call__(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | MixedLabels]:
        if torch.rand((), generator=generator) >= self.p:
            return images, labels
        batch, _, height, width = images.shape
        share = _beta(self.alpha, generator)  # of the area, to be pasted
        partner = torch.randperm(batch, generator=generator).to(labels.device)
        box_height, box_width = round(height * share**0.5), round(width * share**0.5)
        center_y = int(torch.randint(height, (), generator=generator))
        center_x = int(torch.randint(width, (), generator=generator))
        top, left = max(center_y - box_height // 2, 0), max(center_x - box_width // 2, 0)
        bottom = min(center_y - box_height // 2 + box_height, height)
        right = min(center_x - box_width // 2 + box_width, width)
        mixed = images.clone()
        mixed[:, :, top:bottom, left:right] = images[partner.to(images.device), :, top:bottom, left:right]
        kept = 1 - (bottom - top) * (right - left) / (height * width)
        lam = torch.full((batch,), kept, dtype=torch.float32, device=labels.device)
        return mixed, MixedLabels(labels, labels[partner], lam)


def _beta(alpha: float, generator: torch.Generator) -> float:
    """One draw of Beta(alpha, alpha) from the generator (torch.distributions takes none)."""
    gammas = torch._standard_gamma(torch.full((2,), alpha, dtype=torch.float64), generator=generator)
    return float(gammas[0] / gammas.sum())
