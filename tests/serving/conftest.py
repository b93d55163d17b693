"""A bundle made by hand: a graph of a few operators that looks at eight parts of an image, no training, no PyTorch."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import yaml

HEADS = {
    "root": {"column": "grapheme_root", "classes": 168, "weight": 2},
    "vowel": {"column": "vowel_diacritic", "classes": 11, "weight": 1},
    "consonant": {"column": "consonant_diacritic", "classes": 7, "weight": 1},
}


@pytest.fixture(scope="session")
def handmade_bundle(tmp_path_factory) -> Path:
    """137 × 236 files, 32 × 48 network, ONNX; read only: tests that change something copy it."""
    return write_bundle(tmp_path_factory.mktemp("handmade") / "bundle")


def write_bundle(folder: Path) -> Path:
    from okkhor.labels import read_class_map

    folder.mkdir()
    names = read_class_map().names
    graph = write_graph(folder / "model.onnx")
    description = {
        "schema": 1,
        "name": "okkhor",
        "version": "1.0",
        "run": "handmade",
        "created": "2026-11-23T00:00:00+00:00",
        "heads": HEADS,
        "decision": "argmax",
        "labels": {name: names[block["column"]] for name, block in HEADS.items()},
        "graphemes": {name: block["column"] for name, block in HEADS.items()},
        "input": {"height": 32, "width": 48, "crop": True, "raw_size": [137, 236]},
        "model": {},
        "metrics": {},
        "versions": {},
        "formats": {
            "onnx": {
                "file": graph.name,
                "sha256": hashlib.sha256(graph.read_bytes()).hexdigest(),
                "bytes": graph.stat().st_size,
                "difference": 0.0,
                "code": False,
            }
        },
    }
    (folder / "bundle.yaml").write_text(
        yaml.safe_dump(description, allow_unicode=True, sort_keys=False), encoding="utf-8"
    )
    return folder


def write_graph(path: Path) -> Path:
    """images uint8 (B, 1, 32, 48) -> mean of 2 × 4 parts -> a linear layer with softmax for each head, and maps."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    constants = [numpy_helper.from_array(np.array([0, 8], np.int64), "flat")]
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("AveragePool", ["pixels"], ["parts"], kernel_shape=[16, 12], strides=[16, 12]),
        helper.make_node("Reshape", ["parts", "flat"], ["features"]),
        helper.make_node("Concat", ["parts"] * len(HEADS), ["activation_maps"], axis=1),
    ]
    outputs = []
    for name, block in HEADS.items():
        weights = random.normal(0, 0.02, (8, block["classes"])).astype(np.float32)
        constants.append(numpy_helper.from_array(weights, f"{name}_weights"))
        nodes.append(helper.make_node("MatMul", ["features", f"{name}_weights"], [f"{name}_logits"]))
        nodes.append(helper.make_node("Softmax", [f"{name}_logits"], [name], axis=1))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", block["classes"]]))
    outputs.append(helper.make_tensor_value_info("activation_maps", TensorProto.FLOAT, ["batch", len(HEADS), 2, 4]))
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 1, 32, 48])
    graph = helper.make_graph(nodes, "handmade", [images], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
