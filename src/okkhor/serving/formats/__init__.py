"""How a network is written in each format of a bundle; imports PyTorch, unlike what serves a bundle."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from okkhor.serving.formats.aoti import write_aoti
from okkhor.serving.formats.onnx import write_onnx
from okkhor.serving.formats.pt2 import write_pt2
from okkhor.serving.formats.safetensors import write_safetensors
from okkhor.serving.formats.torchscript import write_torchscript

# (graph, images to trace with uint8 (2, 1, H, W), names of the heads, file to write)
Writer = Callable[[nn.Module, Tensor, list[str], Path], None]

WRITERS: dict[str, tuple[str, Writer]] = {
    "onnx": ("model.onnx", write_onnx),
    "torchscript": ("model.torchscript.pt", write_torchscript),
    "pt2": ("model.exported.pt2", write_pt2),
    "aoti": ("model.aoti.pt2", write_aoti),
    "safetensors": ("model.safetensors", write_safetensors),
}
