"""Files that are code are loaded when they are trusted and are what was exported; pickles in them never."""

import hashlib
import io
import os
import shutil
import zipfile
from contextlib import suppress

import pytest
import torch
import yaml

from okkhor.errors import InputError
from okkhor.serving.formats.program import captured
from okkhor.serving.predictor import Predictor

CODE = ("torchscript", "pt2", "aoti")


class Net(torch.nn.Module):
    """In the handmade bundle's form: images -> probabilities of three heads, maps."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(32 * 48, 168 + 11 + 7)

    def forward(self, images):
        root, vowel, consonant = self.layer(images.flatten(1).float() / 255).split([168, 11, 7], 1)
        return (
            root.softmax(1),
            vowel.softmax(1),
            consonant.softmax(1),
            images[:, :, ::16, ::16].float().expand(-1, 3, 2, 3),
        )


IMAGES = torch.randint(0, 256, (2, 1, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Boom:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def bundle(handmade_bundle, tmp_path):
    """bundle(format, bytes): a bundle with these bytes as its only format, hash and all."""

    def made(format, data, **described):
        folder = shutil.copytree(handmade_bundle, tmp_path / "bundle", dirs_exist_ok=True)
        manifest = folder / "bundle.yaml"
        said = yaml.safe_load(manifest.read_text(encoding="utf-8"))
        entry = {"file": "model.pt2", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "difference": 0.0}
        said["formats"] = {format: entry | {"code": True} | described}
        manifest.write_text(yaml.safe_dump(said, allow_unicode=True, sort_keys=False), encoding="utf-8")
        (folder / "model.pt2").write_bytes(data)
        return folder

    return made


def exported() -> bytes:
    file = io.BytesIO()
    torch.export.save(captured(Net().eval(), IMAGES), file)
    return file.getvalue()


@pytest.fixture(scope="module")
def program() -> bytes:
    return exported()


@pytest.mark.parametrize("format", CODE)
@pytest.mark.parametrize("described", [{}, {"code": False}], ids=["said to be code", "said to be none"])
def test_code_is_not_loaded_unless_it_is_trusted(bundle, monkeypatch, format, described):
    folder = bundle(format, b"code", **described)
    for loader in ("jit.load", "export.load", "_inductor.aoti_load_package"):
        monkeypatch.setattr(f"torch.{loader}", lambda *_, **__: pytest.fail("loaded"))
    with pytest.raises(InputError, match=rf"loading {format} runs the code in it; trust=true"):
        Predictor.load(folder, format)
    with pytest.raises(InputError, match=r"runs the code in it|no format that loads without running code"):
        Predictor.load(folder)


@pytest.mark.parametrize("format", CODE)
def test_trusted_code_must_be_what_was_exported(bundle, monkeypatch, format):
    folder = bundle(format, b"code")
    for loader in ("jit.load", "export.load", "_inductor.aoti_load_package"):
        monkeypatch.setattr(f"torch.{loader}", lambda *_, **__: pytest.fail("loaded"))
    (folder / "model.pt2").write_bytes(b"evil")
    with pytest.raises(InputError, match="its hash"):
        Predictor.load(folder, format, trust=True)


def test_a_format_without_code_is_taken_where_nothing_is_trusted(handmade_bundle, tmp_path):
    folder = shutil.copytree(handmade_bundle, tmp_path / "bundle")
    manifest = folder / "bundle.yaml"
    said = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    said["formats"] = {"torchscript": said["formats"]["onnx"] | {"code": True}, "onnx": said["formats"]["onnx"]}
    manifest.write_text(yaml.safe_dump(said, allow_unicode=True, sort_keys=False), encoding="utf-8")
    assert Predictor.load(folder).format == "onnx"


def changed(program: bytes, change) -> bytes:
    """change(name, data) -> data of each file in the archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(program)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return file.getvalue()


def pickled(path) -> bytes:
    file = io.BytesIO()
    torch.save(Boom(path), file)
    return file.getvalue()


def test_a_program_computes(bundle, program):
    found = Predictor.load(bundle("pt2", program), trust=True).probabilities(IMAGES.numpy())
    assert [head.shape for head in found] == [(2, 168), (2, 11), (2, 7)]
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


def test_pickles_in_a_program_are_not_run(bundle, program, tmp_path):
    ran = tmp_path / "ran"

    def sample_inputs(name, data):
        return pickled(ran) if "sample_inputs" in name else data

    def weights(name, data):
        if name.endswith("weights_config.json"):
            return data.replace(b'"use_pickle": false', b'"use_pickle": true')
        return pickled(ran) if "/weights/weight_" in name else data

    for change in (sample_inputs, weights):
        evil = changed(program, change)
        assert evil != program
        with pytest.raises(InputError, match="pt2 cannot be loaded"):
            Predictor.load(bundle("pt2", evil), trust=True)
        assert not ran.exists()
        with suppress(Exception):  # it loads by itself, or not
            torch.export.load(io.BytesIO(evil))
        assert ran.exists()
        ran.rmdir()


def test_objects_in_a_program_are_refused(bundle, program):
    file = io.BytesIO(program)
    with zipfile.ZipFile(file, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/data/constants/opaque_obj_0", b"")
    with pytest.raises(InputError, match=r"opaque_obj_0 in it is a pickled object, which is never read"):
        Predictor.load(bundle("pt2", file.getvalue()), trust=True)
