"""Every format of a bundle computes what the checkpoint does, or it is not written."""

import shutil

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file

from okkhor.errors import InputError
from okkhor.runs import Run
from okkhor.serving.bundle import Bundle
from okkhor.serving.formats import WRITERS
from okkhor.serving.predictor import Predictor
from okkhor.serving.writing import TOLERANCE
from okkhor.training.export import export
from okkhor.training.fit import fit
from okkhor.training.options import check_options
from okkhor.training.restore import restore
from okkhor.training.scoring import read


@pytest.fixture
def run(compose):
    config = compose("trainer.max_epochs=1", "name=letters/small")
    run = Run.create(config.paths.runs, config.name)
    run.write_config(config)
    fit(run, config)
    return run


@pytest.fixture
def checkpoint_of():
    """checkpoint_of(run) -> images of the validation fold as the network sees them, the checkpoint's probabilities."""

    def read_run(run):
        _, data, module = restore(run)
        rows = data.rows("val")
        found = read(module, data.loader_of(rows), torch.device("cpu"), "")
        return np.asarray(data.images[rows])[:, np.newaxis], found

    return read_run


@pytest.fixture
def checkpoint(run, checkpoint_of):
    return checkpoint_of(run)


def assert_equal(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=TOLERANCE, rtol=0)


def test_the_formats_that_are_quick_to_make_compute_what_the_checkpoint_does(run, checkpoint):
    said = []
    formats = ["onnx", "torchscript", "pt2", "safetensors"]
    bundle = export(run, formats=formats, say=said.append)
    assert bundle.path == run.path / "bundle"
    assert sorted(bundle.formats) == sorted(formats)
    assert {path.stat().st_mode & 0o777 for path in bundle.path.iterdir()} == {0o644}  # servers run as others
    images, wanted = checkpoint
    for format in formats:
        for count in (1, 2, 7):
            found = Predictor.load(bundle, format, trust=True).probabilities(images[:count])
            assert_equal(found, [p[:count] for p in wanted])
    assert not [path for path in run.path.iterdir() if path.name.startswith(".")]
    assert len(said) >= len(formats)


def test_views_that_are_chosen_for_a_run_are_scored_and_are_in_every_format(run, checkpoint):
    views = "model.tta=[[0.1,0],[0,-0.1,1.1]]"
    images, plain = checkpoint
    _, data, module = restore(run, [views])
    wanted = read(module, data.loader_of(data.rows("val")), torch.device("cpu"), "")
    assert max(np.abs(a - b).max() for a, b in zip(wanted, plain, strict=True)) > 10 * TOLERANCE
    bundle = export(run, formats=["onnx", "torchscript", "safetensors"], overrides=[views])
    assert bundle.model["tta"] == [[0.1, 0], [0, -0.1, 1.1]]
    for format in bundle.formats:
        for count in (1, 5):
            found = Predictor.load(bundle, format, trust=True).probabilities(images[:count])
            assert_equal(found, [p[:count] for p in wanted])


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="AOTInductor needs a C++ compiler")
def test_compiled_ahead_of_time_it_computes_the_same(run, checkpoint):
    bundle = export(run, formats=["aoti"])
    images, wanted = checkpoint
    assert_equal(Predictor.load(bundle, "aoti", trust=True).probabilities(images), wanted)


def test_int8_is_smaller_scored_and_says_what_it_lost(run, checkpoint):
    said = []
    bundle = export(run, quantize="int8", say=said.append)
    entry = bundle.formats["onnx_int8"]
    graph = onnx.load(bundle.path_of("onnx_int8")).graph
    eight_bits = sum(tensor.data_type == onnx.TensorProto.INT8 for tensor in graph.initializer)
    assert eight_bits >= sum(node.op_type == "Conv" for node in graph.node)
    assert set(entry.notes) == {"score", "score_float32", "within_half_a_point"}
    lost = entry.notes["score_float32"] - entry.notes["score"]
    assert entry.notes["within_half_a_point"] == (lost <= 0.005)
    assert any("LOSES MORE" in line for line in said) == (lost > 0.005)
    images, wanted = checkpoint
    found = Predictor.load(bundle, "onnx_int8").probabilities(images)
    agreeing = [np.mean(a.argmax(1) == b.argmax(1)) for a, b in zip(found, wanted, strict=True)]
    assert min(agreeing) > 0.8


def test_the_bundle_says_what_the_run_knows(run):
    bundle = export(run)
    assert (bundle.name, bundle.run) == ("letters-small", run.id)
    assert bundle.metrics == run.metrics()
    assert (bundle.input["height"], bundle.input["width"], bundle.input["raw_size"]) == (24, 40, [137, 236])
    assert bundle.labels["root"][0] == "ং"
    assert bundle.graphemes["vowel"] == "vowel_diacritic"
    assert {"torch", "onnx", "onnxruntime"} <= set(bundle.versions)


def test_weights_without_code_are_those_of_the_checkpoint(run):
    bundle = export(run, formats=["safetensors"])
    state = torch.load(run.checkpoint(), weights_only=True)["state_dict"]
    for name, value in load_file(bundle.path_of("safetensors")).items():
        assert torch.equal(value, state[f"net.{name}"])


def test_a_format_that_computes_something_else_is_not_written(run, monkeypatch):
    first = export(run, formats=["safetensors"])
    before = {path.name: path.read_bytes() for path in first.path.iterdir()}
    file, write = WRITERS["safetensors"]

    def slightly_wrong(graph, example, heads, path):
        with torch.no_grad():
            next(iter(graph.net.head_layers.values())).bias[0] += 0.1
        write(graph, example, heads, path)

    monkeypatch.setitem(WRITERS, "safetensors", (file, slightly_wrong))
    with pytest.raises(InputError, match="safetensors: its probabilities differ from the checkpoint's by up to"):
        export(run, formats=["safetensors"])
    assert {path.name: path.read_bytes() for path in first.path.iterdir()} == before
    assert not [path for path in run.path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"formats": ["onx"]}, "format=onx: expected one or more of onnx"), ({"formats": []}, "expected one or more"),
     ({"quantize": "int4"}, "quantize=int4: expected int8"),
     ({"formats": ["safetensors"], "quantize": "int8"}, "expected onnx among the formats")],
)  # fmt: skip
def test_a_wrong_wish_is_refused_and_leaves_nothing(run, arguments, said):
    with pytest.raises(InputError, match=said):
        export(run, **arguments)
    assert not (run.path / "bundle").exists()


def test_a_folder_that_is_no_bundle_is_not_replaced(run, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years")
    with pytest.raises(InputError, match="exists and is no bundle"):
        export(run, precious, formats=["safetensors"])
    assert (precious / "thesis.txt").read_text() == "years"
    assert Bundle.open(export(run, tmp_path / "new", formats=["safetensors"]).path).name == "letters-small"


def test_a_run_that_is_told_so_exports_itself_from_where_its_data_lies_now(compose, checkpoint_of, tmp_path):
    config = compose("trainer.max_epochs=1", "export=[onnx_int8,safetensors]")
    run = Run.create(config.paths.runs, config.name)
    recorded = config.copy()
    recorded.data.dir = str(tmp_path / "gone")  # as written on another machine
    run.write_config(recorded)
    fit(run, config)
    bundle = Bundle.open(run.path / "bundle")
    assert sorted(bundle.formats) == ["onnx", "onnx_int8", "safetensors"]
    run.write_config(config)
    images, wanted = checkpoint_of(run)
    assert_equal(Predictor.load(bundle, "onnx").probabilities(images[:7]), [p[:7] for p in wanted])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["export=tflite"], "export: expected one or a list of onnx"),
        (["export=onnx", "+pretrain.x=1"], "no trained heads"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_training(compose, options, said):
    with pytest.raises(InputError, match=said):
        check_options(compose(*options))
