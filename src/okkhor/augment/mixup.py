"""MixUp: two images of the batch shine through each other."""

import torch
from torch import Tensor

from okkhor.augment.batch import Mixing


class MixUp(Mixing):
    """Weighted mean of two images (https://arxiv.org/abs/1710.09412); float32 on the scale of the pixels."""

    def mix(self, images: Tensor, others: Tensor, kept: float, generator: torch.Generator) -> tuple[Tensor, float]:
        return torch.lerp(others.float(), images.float(), kept), kept
