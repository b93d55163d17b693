"""The container image of an endpoint, and which formats of a bundle it can load.

Amazon's inference images for PyTorch end at 2.6. ONNX Runtime is not in them: their toolkit installs what the
archive's requirements.txt names when an endpoint starts, but not for the archives of a multi-model endpoint.
"""

from __future__ import annotations

import re

from okkhor.errors import InputError

PYTORCH = "2.6"  # the last with an image of its own for inference
ARM = re.compile(r"ml\.[cmrt]\d+g[dn]?\..+")  # instance types with Graviton processors
AMAZONS = ".amazonaws.com/pytorch-inference"  # in the name of such an image
IN_IMAGE = ("torchscript",)  # formats that need no package besides those of the image
SERVED = ("onnx", "onnx_int8", "torchscript", "safetensors")  # pt2 and aoti are bound to the PyTorch that wrote them


def image_for(region: str, instance_type: str | None) -> str:
    """Amazon's image for an instance type, None: serverless. Raises InputError where there is none."""
    from sagemaker.core import image_uris

    kind = instance_type or "ml.m5.large"
    if kind.startswith(("ml.inf", "ml.trn")):
        raise InputError(
            f"--instance-type={kind}: Amazon's images for Neuron are not known to the SDK; name one with --image, "
            "see --accelerator inf2"
        )
    scope = "inference_graviton" if ARM.fullmatch(kind) else "inference"
    try:
        return image_uris.retrieve("pytorch", region, version=PYTORCH, instance_type=kind, image_scope=scope)
    except (ValueError, KeyError) as error:
        raise InputError(f"--instance-type={kind}: {error}; or name an --image") from error


def untried(image: str, mode: str) -> str | None:
    """What nobody has seen work, to be said before it is paid for."""
    if mode != "multi-model" or AMAZONS not in image:
        return None
    return (
        f"note: whether Amazon's image (PyTorch {PYTORCH}, nothing installed) loads what this PyTorch wrote was "
        "not tried; an --image made of infra/docker/sagemaker.Dockerfile has what archives ask for"
    )


def check_format(format: str, image: str, *, mode: str, isolated: bool) -> None:
    """Raise InputError for a format that the containers of an endpoint could not load."""
    if AMAZONS not in image:
        return  # what is in it, its maker knows
    if format not in SERVED:
        raise InputError(f"--format={format}: Amazon's images have an older PyTorch; expected {', '.join(SERVED)}")
    if format not in IN_IMAGE and (mode == "multi-model" or isolated):
        why = "containers of several models install nothing" if mode == "multi-model" else "isolated ones reach no PyPI"
        need = f"--format {IN_IMAGE[0]}, which Amazon's image can load, or an --image with ONNX Runtime and OpenCV"
        raise InputError(f"--format={format}: {why}; expected {need}")
