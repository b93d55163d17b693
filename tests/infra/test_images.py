"""The images of training jobs and endpoints, which are not built here: what they install, and that it is enough."""

import json
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from okkhor.serving.archives.sagemaker import FORMAT_NEEDS, NEEDS

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "infra" / "docker"
TOOLKIT = ROOT / ".servers" / "sagemaker" / "bin" / "python"


@pytest.fixture
def image(torchserve):
    """A Dockerfile of infra/docker: image("training")."""
    return lambda name: type(torchserve)(DOCKER / f"{name}.Dockerfile")


def named(file: Path) -> set[str]:
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return {Requirement(line).name.lower() for line in lines}


def pinned() -> dict[str, Version]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    return {line.split("==")[0].lower(): Version(line.split("==")[1]) for line in lines}


def test_a_job_has_what_the_project_depends_on():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {Requirement(line).name.lower() for line in project["dependencies"]} < named(DOCKER / "training.txt")


def test_an_endpoint_has_what_the_toolkit_and_the_archives_ask_for():
    """So that the toolkit, which installs an archive's requirements, needs no network."""
    asked = {*NEEDS, *(name for names in FORMAT_NEEDS.values() for name in names)}
    assert named(ROOT / "serve" / "servers" / "sagemaker.txt") | asked <= named(DOCKER / "sagemaker.txt")


@pytest.mark.parametrize("name", ["training", "sagemaker"])
def test_every_package_has_a_version_that_was_tested(image, name):
    known = pinned()
    for line in (DOCKER / f"{name}.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            # the toolkit is in an environment of its own, whose versions its file names
            assert requirement.specifier or requirement.name.lower() in known, line
    installs = [part for rest in image(name).all("RUN") for part in rest.split("&&") if "pip install" in part]
    assert len(installs) >= 2
    assert all("--constraint constraints.txt" in part or "--no-index" in part for part in installs)


def test_apex_is_compiled_by_the_cuda_of_pytorch_and_is_in_the_image(image):
    cuda = pinned()["cuda-toolkit"]
    building = next(rest for rest in image("training").all("RUN") if "cuda-minimal-build" in rest)
    assert set(re.findall(r"cuda-[\w-]+-(\d+-\d+)=", building)) == {f"{cuda.major}-{cuda.minor}"}
    assert f"CUDA_HOME=/usr/local/cuda-{cuda.major}.{cuda.minor}" in " ".join(image("training").all("ENV"))
    bases = [rest.split() for rest in image("training").all("FROM")]
    assert bases[0][1:] == ["AS", "apex"]
    assert bases[0][0].removesuffix("-bookworm") + "-slim-bookworm" == bases[1][0]  # one Python, one C library
    assert "--from=apex /apex/wheels wheels" in image("training").all("COPY")


@pytest.mark.skipif(not TOOLKIT.exists(), reason="needs the toolkit: make setup-servers")
def test_the_endpoints_command_is_the_toolkits(image):
    program, flag, code = json.loads(image("sagemaker").one("ENTRYPOINT"))
    assert (program, flag) == ("python", "-c")
    asked = code.replace("; main()", "; print(main.__module__)")
    said = subprocess.run([TOOLKIT, "-c", asked, "serve"], capture_output=True, text=True, timeout=120, check=True)
    assert said.stdout.strip() == "sagemaker_pytorch_serving_container.serving"


@pytest.mark.slow
def test_what_the_image_holds_is_enough_to_train_and_to_export(image, training_python, tiny_in, tmp_path):
    """The source that a job brings, in a folder of its own, run by a Python with the image's packages alone."""
    listed = ["git", "ls-files", "-z", "train.py", "configs", "src"]
    source = tmp_path / "code"
    for name in subprocess.run(listed, capture_output=True, text=True, cwd=ROOT, check=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    given = dict(word.split("=", 1) for word in shlex.split(image("training").all("ENV")[-1]))
    words = [*tiny_in(tmp_path / "runs"), "trainer.max_epochs=1", "export=onnx"]
    given |= {"PYTHONPATH": str(source / "src"), "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [training_python, "train.py", *words], capture_output=True, text=True, timeout=300, cwd=source,
        env={**given, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "runs").glob("*/*/bundle/model.onnx"))) == 1
