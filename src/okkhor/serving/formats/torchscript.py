"""TorchScript: what Elastic Inference took, and what loads in C++ without Python. The file is code."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn


def write_torchscript(graph: nn.Module, example: Tensor, heads: list[str], path: Path) -> None:
    """A trace of the network, with its weights folded in."""
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore")  # TorchScript is deprecated: it is here for what cannot take another format
        traced = torch.jit.trace(graph, example, check_trace=False)
        torch.jit.save(torch.jit.freeze(traced.eval()), str(path))
