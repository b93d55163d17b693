"""What computes a bundle's graph: one function for each format, loaded when it is asked for.

Every runtime takes images uint8 (B, 1, H, W) and gives the probabilities of each head, float32 (B, classes), in the
heads' order, and activation maps, float32 (B, heads, h, w).
"""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from okkhor.errors import InputError

if TYPE_CHECKING:
    from okkhor.serving.bundle import Bundle

Runtime = Callable[[np.ndarray], tuple[list[np.ndarray], np.ndarray]]

# from the fastest to load and compute on a small CPU to the slowest; the first that a bundle has is taken
FORMATS = ("onnx", "onnx_int8", "torchscript", "safetensors", "pt2", "aoti")
CODE = frozenset({"torchscript", "pt2", "aoti"})  # loading them runs code that stands in the file

PICKLED = "_obj_"  # in the names of torch.export's files that hold objects
NO_PICKLES = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # https://docs.pytorch.org/docs/stable/notes/serialization.html


def load_runtime(bundle: Bundle, format: str, *, threads: int = 1, trust: bool = False) -> Runtime:
    """The runtime of one of a bundle's formats.

    threads: that one call computes with; trust: whether files that are code may be loaded.
    Raises InputError when the format is unknown, absent, untrusted, damaged, or its package is not installed.
    """
    if format not in FORMATS:
        raise InputError(f"format={format}: expected one of {', '.join(FORMATS)}")
    if format not in bundle.formats:
        there = ", ".join(bundle.formats) or "none"
        raise InputError(f"{bundle.path}: no {format} in this bundle, which has {there}; export the run with it")
    if (format in CODE or bundle.formats[format].code) and not trust:
        raise InputError(
            f"{bundle.path_of(format)}: loading {format} runs the code in it; "
            "trust=true (--trust) if you made this bundle"
        )
    path = bundle.path_of(format)
    try:
        return LOADERS[format](bundle, path, threads)
    except ImportError as error:
        raise InputError(f"{format}: {error}; pip install -e '.[serve]'") from error
    except InputError:
        raise
    except Exception as error:  # each runtime has its own exceptions for a file that it cannot load
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{path}: {format} cannot be loaded: {reason}") from error


def _onnx(bundle: Bundle, path: Path, threads: int) -> Runtime:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    if names != [*bundle.heads.names, "activation_maps"]:
        raise InputError(f"{path}: outputs {', '.join(names)}; expected the heads of bundle.yaml and activation_maps")
    entry = session.get_inputs()[0].name

    def run(images: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        *probabilities, maps = session.run(None, {entry: images})
        return probabilities, maps

    return run


def _torchscript(bundle: Bundle, path: Path, threads: int) -> Runtime:
    torch = _torch(threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of TorchScript's deprecation: who takes it has a reason
        return _on_torch(torch, torch.jit.load(str(path), map_location="cpu").eval())


def _pt2(bundle: Bundle, path: Path, threads: int) -> Runtime:
    """torch.export unpickles what its archive says is a pickle, sample inputs too; ours hold none, and none is read."""
    torch = _torch(threads)
    with zipfile.ZipFile(path) as archive:
        objects = [name for name in archive.namelist() if PICKLED in name]
    if objects:
        raise InputError(f"{path}: {objects[0]} in it is a pickled object, which is never read")
    before = os.environ.get(NO_PICKLES)
    os.environ[NO_PICKLES] = "1"  # there is no argument for it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of weights on a GPU, which are not
            return _on_torch(torch, torch.export.load(str(path)).module())
    finally:
        if before is None:
            del os.environ[NO_PICKLES]
        else:
            os.environ[NO_PICKLES] = before


def _aoti(bundle: Bundle, path: Path, threads: int) -> Runtime:
    torch = _torch(threads)
    return _on_torch(torch, torch._inductor.aoti_load_package(str(path)))


def _safetensors(bundle: Bundle, path: Path, threads: int) -> Runtime:
    torch = _torch(threads)
    from okkhor.serving.weights import net_from_weights

    return _on_torch(torch, net_from_weights(bundle, path))


def _torch(threads: int) -> Any:
    import torch

    torch.set_num_threads(threads)
    return torch


def _on_torch(torch: Any, net: Callable[[Any], Iterable[Any]]) -> Runtime:
    def run(images: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        with torch.inference_mode():
            *probabilities, maps = net(torch.from_numpy(images))
        return [found.numpy() for found in probabilities], maps.numpy()

    return run


LOADERS: dict[str, Callable[[Bundle, Path, int], Runtime]] = {
    "onnx": _onnx,
    "onnx_int8": _onnx,
    "torchscript": _torchscript,
    "pt2": _pt2,
    "aoti": _aoti,
    "safetensors": _safetensors,
}
