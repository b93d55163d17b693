"""SageMaker's archive: the same bytes for the same bundle, and what its toolkit has to install."""

import shutil
import tarfile

import pytest
import yaml

from okkhor.errors import InputError
from okkhor.serving.archives.sagemaker import write_sagemaker
from okkhor.serving.bundle import Bundle
from okkhor.serving.carried import carried_files
from okkhor.serving.runtimes import FORMATS


@pytest.fixture
def every_format(handmade_bundle, tmp_path) -> Bundle:
    """A bundle that says of its one file that it is each of the formats: it is archived, not loaded."""
    folder = tmp_path / "bundle"
    shutil.copytree(handmade_bundle, folder)
    described = yaml.safe_load((folder / "bundle.yaml").read_text())
    described["formats"] = dict.fromkeys(FORMATS, described["formats"]["onnx"])
    (folder / "bundle.yaml").write_text(yaml.safe_dump(described, sort_keys=False))
    return Bundle.open(folder)


def test_the_same_bundle_makes_the_same_archive(handmade_bundle, tmp_path):
    first, second = (write_sagemaker(Bundle.open(handmade_bundle), "onnx", tmp_path / name) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    assert [path.name for path in tmp_path.glob("*/*")] == ["model.tar.gz"] * 2


@pytest.mark.parametrize("format", FORMATS)
def test_it_holds_entry_bundle_code_and_what_to_install(every_format, tmp_path, format):
    archive = write_sagemaker(every_format, format, tmp_path / "out")
    with tarfile.open(archive) as whole:
        names = set(whole.getnames())
        needs = whole.extractfile("code/requirements.txt").read().decode().split()
        described = yaml.safe_load(whole.extractfile("bundle/bundle.yaml"))
        assert {(entry.uid, entry.gid, entry.uname, entry.mode) for entry in whole} == {(0, 0, "", 0o644)}
    code = {f"code/{path}" for path in (*carried_files(format), "inference.py", "requirements.txt")}
    assert names == {*code, "bundle/bundle.yaml", "bundle/model.onnx"}
    assert list(described["formats"]) == [format]
    assert {"opencv-python-headless", "pillow", "pyyaml"} <= set(needs)
    assert ("onnxruntime" in needs) == format.startswith("onnx")
    assert ("safetensors" in needs) == (format == "safetensors")
    assert "torch" not in needs  # the image has it, for its own kind of processor


def test_a_format_that_the_bundle_lacks_is_refused_and_leaves_nothing(handmade_bundle, tmp_path):
    with pytest.raises(InputError, match="format=pt2"):
        write_sagemaker(Bundle.open(handmade_bundle), "pt2", tmp_path)
    assert list(tmp_path.iterdir()) == []
