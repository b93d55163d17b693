"""The network as torch.export captures it, for every number of images: what three formats are made of."""

import warnings

import torch
from torch import Tensor, nn

MOST_IMAGES = 4096  # at once


def captured(graph: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """An exported program for 1 to MOST_IMAGES images. example: uint8 (2, 1, H, W)."""
    batch = torch.export.Dim("batch", min=1, max=MOST_IMAGES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch about itself
        return torch.export.export(graph, (example,), dynamic_shapes=({0: batch},))
