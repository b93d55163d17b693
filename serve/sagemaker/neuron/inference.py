"""What SageMaker's toolkit calls in an archive that compile.py has packed: `served.py`, with a network of one image.

Loading on Inferentia was never run by those who wrote this, see compile.py; an archive of `--device cpu` was served.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from served import input_fn, output_fn, predict_fn

if TYPE_CHECKING:
    import numpy as np

    from okkhor.serving.runtimes import Runtime
    from okkhor.serving.service import Service

__all__ = ["input_fn", "model_fn", "output_fn", "predict_fn"]
FORMAT = "neuron"


def model_fn(model_dir: str) -> Service:
    """Load the compiled network of an unpacked model.tar.gz, and let it run once."""
    import numpy as np
    import torch
    from sagemaker_inference import content_types

    from okkhor.serving.bundle import Bundle
    from okkhor.serving.predictor import Predictor
    from okkhor.serving.service import Service

    content_types.UTF8_TYPES = []  # it would decode JSON itself, and answer what is no UTF-8 with a traceback
    bundle = Bundle.open(Path(model_dir) / "bundle")
    if bundle.formats[FORMAT].notes["device"] == "neuron":
        import torch_neuronx  # noqa: F401 - loading needs the operators that it registers
    service = Service(Predictor(bundle, FORMAT, one_at_a_time(torch.jit.load(str(bundle.path_of(FORMAT))).eval())))
    service.predictor.run(np.zeros((1, 1, service.predictor.height, service.predictor.width), np.uint8))
    return service


def one_at_a_time(net: Any) -> Runtime:
    """A runtime for any number of images, of a network that takes one."""
    import torch

    def run(images: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        with torch.inference_mode():
            answers = [net(torch.from_numpy(images[i : i + 1])) for i in range(len(images))]
        *probabilities, maps = (torch.cat(parts).numpy() for parts in zip(*answers, strict=True))
        return probabilities, maps

    return run
