"""A bundle is what it says, or it is refused: in one line that names the file."""

import shutil

import pytest
import yaml

from okkhor.errors import InputError
from okkhor.serving.bundle import Bundle
from okkhor.serving.predictor import Predictor


@pytest.fixture
def folder(handmade_bundle, tmp_path):
    return shutil.copytree(handmade_bundle, tmp_path / "bundle")


def changed(folder, change):
    path = folder / "bundle.yaml"
    described = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(described)
    path.write_text(yaml.safe_dump(described, allow_unicode=True), encoding="utf-8")
    return folder


def test_it_is_read_as_it_was_written(folder):
    bundle = Bundle.open(folder)
    assert bundle.heads.names == ["root", "vowel", "consonant"]
    assert [head.classes for head in bundle.heads] == [168, 11, 7]
    assert len(bundle.labels["root"]) == 168
    assert bundle.path_of("onnx") == folder / "model.onnx"


def test_a_run_directory_means_the_bundle_in_it(folder):
    assert Bundle.open(folder.parent).path == Bundle.open(folder).path


WRONG = {
    "another schema": (lambda d: d.update(schema=2), "schema 2; this version reads schema 1"),
    "no schema": (lambda d: d.pop("schema"), "schema None"),
    "a field is missing": (lambda d: d.pop("labels"), "labels is missing"),
    "heads": (lambda d: d["heads"]["root"].update(classes="many"), "data.heads.root.classes"),
    "too few labels": (lambda d: d["labels"]["root"].pop(), "labels.root: expected the texts of 168 classes"),
    "no labels of a head": (lambda d: d["labels"].pop("vowel"), "labels.vowel: expected the texts of 11 classes"),
    "no size": (lambda d: d["input"].pop("height"), "input: expected height"),
    "a huge size": (lambda d: d["input"].update(width=10**6), "input: expected height"),
    "no file": (lambda d: d["formats"]["onnx"].pop("file"), "formats.onnx: expected file, sha256"),
    "a file elsewhere": (lambda d: d["formats"]["onnx"].update(file="../model.onnx"), "is no name of a file"),
    "an absent file": (lambda d: d["formats"]["onnx"].update(file="other.onnx"), "other.onnx is missing"),
    "another size": (lambda d: d["formats"]["onnx"].update(bytes=12), "changed or cut"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_is_refused_with_its_file(folder, what):
    change, said = WRONG[what]
    changed(folder, change)
    with pytest.raises(InputError, match=r"bundle.yaml: ") as error:
        Bundle.open(folder)
    assert said in str(error.value)


def test_what_is_no_yaml_and_what_is_no_bundle(folder, tmp_path):
    (folder / "bundle.yaml").write_text("{a: [")
    with pytest.raises(InputError, match="cannot be read as YAML"):
        Bundle.open(folder)
    (folder / "bundle.yaml").write_text("- 1")
    with pytest.raises(InputError, match="expected a mapping"):
        Bundle.open(folder)
    with pytest.raises(InputError, match=r"no bundle, it has no bundle.yaml"):
        Bundle.open(tmp_path / "nowhere")


def test_yaml_that_makes_objects_is_not_obeyed(folder):
    (folder / "bundle.yaml").write_text("!!python/object/apply:os.system ['touch /tmp/okkhor-was-here']")
    with pytest.raises(InputError, match="cannot be read as YAML"):
        Bundle.open(folder)


def test_a_changed_file_is_refused_before_it_is_loaded(folder):
    data = bytearray((folder / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.onnx").write_bytes(data)
    Bundle.open(folder)
    with pytest.raises(InputError, match=r"model.onnx: its hash"):
        Predictor.load(folder)
