"""int8 by ONNX Runtime: convolutions in eight bits, calibrated on images of the training."""

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

FILE = "model.int8.onnx"
BATCH = 16


def write_int8(model: Path, images: np.ndarray, path: Path) -> None:
    """Quantize a bundle's ONNX file.

    images: uint8 (N, 1, H, W), a few hundred of the training; the range of each activation is taken from them.
    Only convolutions are quantized, a scale for each of their channels: the heads and the maps stay float32.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            self.rest: Iterator[np.ndarray] = iter(np.array_split(images, max(1, len(images) // BATCH)))

        def get_next(self) -> dict[str, np.ndarray] | None:
            part = next(self.rest, None)
            return None if part is None else {"images": part}

    logger, level = logging.getLogger(), logging.getLogger().level
    logger.setLevel(logging.ERROR)
    try:
        with TemporaryDirectory(prefix="okkhor-int8-") as folder, contextlib.redirect_stdout(io.StringIO()):
            prepared = Path(folder) / "prepared.onnx"
            quant_pre_process(str(model), str(prepared))
            quantize_static(
                str(prepared),
                str(path),
                Images(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
    finally:
        logger.setLevel(level)
