"""A model repository for Triton Inference Server, which KServe takes as well: <name>/config.pbtxt, <name>/1/model.onnx.

Triton runs the network alone: it takes images as they come out of `Predictor.decode` and gives probabilities, so the
client decodes and resizes. Labels of each head lie beside it.
"""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from okkhor.errors import InputError
from okkhor.serving.bundle import Bundle

ONNX = ("onnx", "onnx_int8")
LARGEST_BATCH = 64
PREFERRED = (4, 8, 16)
DELAY_MICROSECONDS = 1000
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
TYPES = {"tensor(uint8)": "TYPE_UINT8", "tensor(float)": "TYPE_FP32"}


def write_triton(
    bundle: Bundle, format: str, out: Path, *, name: str | None = None, version: str | None = None
) -> Path:
    """Write the repository entry `<out>/<name>`; one of the same name is replaced.

    version: Triton counts versions in whole numbers, this one is 1 whatever it says here.
    Raises InputError for a format that is not ONNX, and when the bundle lacks it.
    """
    name = name or bundle.name
    if format not in ONNX:
        raise InputError(f"format={format}: Triton's repository is made of {' or '.join(ONNX)}")
    if not PLAIN.fullmatch(name):
        raise InputError(f"name={name}: expected letters, digits, dots, dashes and underscores")
    if format not in bundle.formats:
        there = ", ".join(bundle.formats) or "none"
        raise InputError(f"format={format}: {bundle.path} has {there}; export the run with it")
    model = bundle.path_of(format)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".archiving-", dir=out) as scratch:
        inside = Path(scratch) / name
        (inside / "1").mkdir(parents=True)
        shutil.copyfile(model, inside / "1" / "model.onnx")
        for head in bundle.heads.names:
            (inside / f"labels_{head}.txt").write_text("\n".join(bundle.labels[head]) + "\n", encoding="utf-8")
        (inside / "config.pbtxt").write_text(_config(name, model, bundle), encoding="utf-8")
        there, old = out / name, Path(scratch) / "old"
        if there.exists():
            there.rename(old)
        return inside.rename(there)


def _config(name: str, model: Path, bundle: Bundle) -> str:
    """The text of config.pbtxt, with inputs and outputs as the graph has them; the first dimension is the batch."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    inputs = ",\n".join(_tensor(one) for one in session.get_inputs())
    outputs = ",\n".join(_tensor(one, bundle) for one in session.get_outputs())
    preferred = ", ".join(map(str, PREFERRED))
    return f"""# {bundle.run or bundle.path}: uint8 images as Predictor.decode gives them -> probabilities of each head
name: "{name}"
backend: "onnxruntime"
max_batch_size: {LARGEST_BATCH}
input [
{inputs}
]
output [
{outputs}
]
dynamic_batching {{
  preferred_batch_size: [ {preferred} ]
  max_queue_delay_microseconds: {DELAY_MICROSECONDS}
}}
instance_group [ {{ count: 1, kind: KIND_AUTO }} ]
parameters {{ key: "intra_op_thread_count" value {{ string_value: "1" }} }}
"""


def _tensor(tensor: Any, bundle: Bundle | None = None) -> str:
    dims = ", ".join(str(size) if isinstance(size, int) else "-1" for size in tensor.shape[1:])
    labels = ""
    if bundle and tensor.name in bundle.heads.names:
        labels = f' label_filename: "labels_{tensor.name}.txt"'
    return f'  {{ name: "{tensor.name}" data_type: {TYPES[tensor.type]} dims: [ {dims} ]{labels} }}'
