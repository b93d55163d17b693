"""The files of this package that a Predictor needs: archives carry them to where okkhor is not installed."""

from pathlib import Path

import okkhor

NEEDED = (
    "__init__",
    "errors",
    "heads",
    "labels",
    "data/__init__",
    "data/gray",
    "data/resize",
    "serving/__init__",
    "serving/answers",
    "serving/bundle",
    "serving/decoding",
    "serving/paper",
    "serving/predictor",
    "serving/requests",
    "serving/runtimes",
    "serving/service",
)
WITH_PYTORCH = (
    "augment/__init__",
    "augment/batch",
    "models/__init__",
    "models/backbones",
    "models/classifier",
    "models/combinations",
    "models/decision",
    "models/small",
    "models/view_list",
    "models/views",
    "own_code",
    "serving/graph",
    "serving/weights",
)


def carried_files(format: str = "onnx") -> dict[str, Path]:
    """Path in the archive (`okkhor/…`, its root goes on the import path) -> the file.

    format: of the bundle; safetensors are weights alone, which need the network's code beside them.
    """
    modules = NEEDED + (WITH_PYTORCH if format == "safetensors" else ())
    root = Path(okkhor.__file__).parent
    return {f"okkhor/{module}.py": root / f"{module}.py" for module in modules}
