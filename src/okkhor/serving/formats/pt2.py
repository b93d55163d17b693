"""torch.export's own archive: a graph that PyTorch loads without the network's code."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from okkhor.serving.formats.program import captured


def write_pt2(graph: nn.Module, example: Tensor, heads: list[str], path: Path) -> None:
    """A graph of PyTorch's own operators, with its weights."""
    program = captured(graph, example)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of weights on a GPU, which are not
        torch.export.save(program, path)
