"""ONNX (https://onnx.ai): the format that runs without PyTorch, everywhere."""

import contextlib
import io
import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from okkhor.serving.formats.program import MOST_IMAGES

OPSET = 18  # the exporter's own; read by ONNX Runtime since 1.14


def write_onnx(graph: nn.Module, example: Tensor, heads: list[str], path: Path) -> None:
    """One file with the weights inside; input `images`, outputs the heads and `activation_maps`."""
    batch = torch.export.Dim("batch", min=1, max=MOST_IMAGES)
    quiet = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in quiet]
    for logger in quiet:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph,
                (example,),
                str(path),
                input_names=["images"],
                output_names=[*heads, "activation_maps"],
                dynamic_shapes=({0: batch},),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        for logger, level in zip(quiet, levels, strict=True):
            logger.setLevel(level)
