"""The compile step for Inferentia: all of it but the compiler, which no machine of ours has."""

import json
import subprocess
import sys
import tarfile
import urllib.request
from pathlib import Path

import pytest

from okkhor.errors import InputError
from okkhor.runs import Run
from okkhor.serving.bundle import Bundle
from okkhor.serving.neighbors import sagemaker_toolkit
from okkhor.serving.predictor import Predictor
from okkhor.serving.sagemaker.neuron import write_compile_step
from okkhor.training.export import export
from okkhor.training.fit import fit


@pytest.fixture
def run(compose) -> Run:
    config = compose("trainer.max_epochs=1")
    run = Run.create(config.paths.runs, config.name)
    run.write_config(config)
    fit(run, config)
    return run


@pytest.fixture
def step(run, typed, tmp_path) -> Path:
    done = typed(
        "scripts/deploy.py", str(run.path), "--target", "sagemaker", "--accelerator", "inf2", "--out", "neuron"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "neuron"
    return tmp_path / "neuron"


def compiled(step: Path, *words: str) -> subprocess.CompletedProcess:
    """compile.py as a person runs it, with nothing of this checkout on the import path but what is installed."""
    return subprocess.run([sys.executable, "compile.py", *words], cwd=step, capture_output=True, text=True, timeout=300)


@pytest.mark.serial
@pytest.mark.slow
@pytest.mark.usefixtures("toolkit")
def test_what_is_packed_is_served_and_reads_as_the_run_does(run, step, image, tmp_path):
    assert "**These steps were written, and not run**" in (step / "STEPS.md").read_text()
    refused = compiled(step)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "torch_neuronx is not installed" in refused.stderr
    assert not (step / "model.tar.gz").exists()

    done = compiled(step, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    with tarfile.open(step / "model.tar.gz") as archive:
        names = archive.getnames()
    assert {"bundle/bundle.yaml", "bundle/model.neuron.pt", "code/inference.py", "code/okkhor/serving/service.py"} <= {
        *names
    }
    assert not [name for name in names if "safetensors" in name or "__pycache__" in name]
    with sagemaker_toolkit(step / "model.tar.gz", tmp_path, workers=1) as url:
        asked = urllib.request.Request(
            url, image.read_bytes(), {"Content-Type": "image/png", "Accept": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=60) as answered:
            found = json.loads(answered.read())
    expected = Predictor.load(export(run, formats=["onnx"]), "onnx").predict([image.read_bytes()])[0].as_json()
    assert found["model"]["format"] == "neuron"
    assert found["grapheme"] == expected["grapheme"]
    assert found["confidence"] == pytest.approx(expected["confidence"], abs=1e-4)


def test_a_folder_of_something_else_is_not_replaced(handmade_bundle, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match=r"mine: is there, and is no compile step of ours; choose another folder"):
        write_compile_step(Bundle.open(handmade_bundle), tmp_path / "mine")
    with pytest.raises(InputError, match="format=safetensors"):
        write_compile_step(Bundle.open(handmade_bundle), tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"
