"""Multi Model Server's archive: a manifest it understands, the bundle, the code that reads it."""

import json
import zipfile

import pytest
import yaml

from okkhor.errors import InputError
from okkhor.serving.archives.mms import write_mms
from okkhor.serving.bundle import Bundle
from okkhor.serving.carried import carried_files


def test_it_holds_manifest_service_bundle_and_code(handmade_bundle, tmp_path):
    archive = write_mms(Bundle.open(handmade_bundle), "onnx", tmp_path, name="letters", version="2.0")
    assert archive == tmp_path / "letters-2.0-onnx.mar"
    with zipfile.ZipFile(archive) as whole:
        assert whole.testzip() is None
        names = set(whole.namelist())
        manifest = json.loads(whole.read("MAR-INF/MANIFEST.json"))
        described = yaml.safe_load(whole.read("bundle/bundle.yaml"))
        assert whole.read("bundle/model.onnx") == (handmade_bundle / "model.onnx").read_bytes()
    assert names == {
        "MAR-INF/MANIFEST.json",
        "service.py",
        "bundle/bundle.yaml",
        "bundle/model.onnx",
        *carried_files("onnx"),
    }
    assert manifest["model"] == {"modelName": "letters", "handler": "service.py:handle", "modelVersion": "2.0"}
    assert (described["name"], described["version"], list(described["formats"])) == ("letters", "2.0", ["onnx"])


def test_writing_again_replaces_and_leaves_nothing_beside(handmade_bundle, tmp_path):
    for _ in range(2):
        archive = write_mms(Bundle.open(handmade_bundle), "onnx", tmp_path)
    assert list(tmp_path.iterdir()) == [archive]


@pytest.mark.parametrize(("format", "name"), [("onnx", "../up"), ("onnx", "1st"), ("onnx", "a b"), ("pt2", None)])
def test_what_cannot_be_archived_is_refused_and_leaves_nothing(handmade_bundle, tmp_path, format, name):
    with pytest.raises(InputError, match=r"format=pt2|name="):
        write_mms(Bundle.open(handmade_bundle), format, tmp_path, name=name)
    assert list(tmp_path.iterdir()) == []
