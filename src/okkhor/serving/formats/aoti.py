"""AOTInductor: the network compiled ahead of time to a library for this kind of processor. The file is code."""

import shutil
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from okkhor.errors import InputError
from okkhor.serving.formats.program import captured


def write_aoti(graph: nn.Module, example: Tensor, heads: list[str], path: Path) -> None:
    """Compile; raises InputError where there is no C++ compiler."""
    if not shutil.which("g++") and not shutil.which("clang++"):
        raise InputError("format=aoti: no C++ compiler here; expected g++ or clang++, or use onnx")
    program = captured(graph, example)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch._inductor.aoti_compile_and_package(program, package_path=str(path))
