"""config.pbtxt, read by Triton's own schema, says what the ONNX graph says."""

import onnxruntime
import pytest

from okkhor.errors import InputError
from okkhor.serving.archives.triton import write_triton
from okkhor.serving.bundle import Bundle

ONNX_TYPE = {"tensor(uint8)": "TYPE_UINT8", "tensor(float)": "TYPE_FP32"}


@pytest.fixture
def parsed():
    """parsed(path): the configuration, refused for a field that the schema does not know."""
    model_config = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason="needs tritonclient[grpc]")
    from google.protobuf import text_format

    return lambda path: (text_format.Parse(path.read_text(), model_config.ModelConfig()), model_config)


def test_inputs_and_outputs_are_those_of_the_graph(handmade_bundle, tmp_path, parsed):
    folder = write_triton(Bundle.open(handmade_bundle), "onnx", tmp_path, name="letters")
    config, schema = parsed(folder / "config.pbtxt")
    session = onnxruntime.InferenceSession(str(folder / "1" / "model.onnx"), providers=["CPUExecutionProvider"])
    assert (config.name, config.backend, folder) == ("letters", "onnxruntime", tmp_path / "letters")
    assert config.max_batch_size > 1
    for said, real in ((config.input, session.get_inputs()), (config.output, session.get_outputs())):
        assert [one.name for one in said] == [one.name for one in real]
        for one, tensor in zip(said, real, strict=True):
            assert schema.DataType.Name(one.data_type) == ONNX_TYPE[tensor.type]
            assert list(one.dims) == [size if isinstance(size, int) else -1 for size in tensor.shape[1:]]
            assert not isinstance(tensor.shape[0], int)  # the batch, which max_batch_size stands for


def test_a_label_file_has_a_line_for_each_class(handmade_bundle, tmp_path, parsed):
    opened = Bundle.open(handmade_bundle)
    folder = write_triton(opened, "onnx", tmp_path)
    config, _ = parsed(folder / "config.pbtxt")
    named = {one.name: one.label_filename for one in config.output if one.label_filename}
    assert set(named) == set(opened.heads.names)
    for head in opened.heads:
        assert len((folder / named[head.name]).read_text().splitlines()) == head.classes


def test_writing_again_replaces_and_leaves_nothing_beside(handmade_bundle, tmp_path):
    for _ in range(2):
        folder = write_triton(Bundle.open(handmade_bundle), "onnx", tmp_path)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(("format", "name"), [("torchscript", None), ("onnx_int8", None), ("onnx", "../up")])
def test_what_triton_cannot_take_is_refused(handmade_bundle, tmp_path, format, name):
    with pytest.raises(InputError, match=r"format=|name="):
        write_triton(Bundle.open(handmade_bundle), format, tmp_path / "out", name=name)
    assert not (tmp_path / "out").exists()
