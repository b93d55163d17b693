"""CutMix: a box of another image of the batch is pasted in."""

import torch
from torch import Tensor

from okkhor.augment.batch import Mixing


class CutMix(Mixing):
    """Paste a box of another image (https://arxiv.org/abs/1905.04899); the share is that of the pixels left.

    The box has the image's proportions and any place, cut off at the border, as in the paper.
    """

    def mix(self, images: Tensor, others: Tensor, kept: float, generator: torch.Generator) -> tuple[Tensor, float]:
        height, width = images.shape[-2:]
        side = (1 - kept) ** 0.5
        box_height, box_width = round(height * side), round(width * side)
        center_y = int(torch.randint(height, (), generator=generator))
        center_x = int(torch.randint(width, (), generator=generator))
        top, left = max(center_y - box_height // 2, 0), max(center_x - box_width // 2, 0)
        bottom = min(center_y - box_height // 2 + box_height, height)
        right = min(center_x - box_width // 2 + box_width, width)
        mixed = images.clone()
        mixed[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
        return mixed, 1 - (bottom - top) * (right - left) / (height * width)
