"""The Dockerfiles of infra/docker as lists of instructions, and what the image of TorchServe holds, laid out here."""

import importlib.util
import json
import shlex
import shutil
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "infra" / "docker"


@dataclass(frozen=True)
class Dockerfile:
    path: Path

    @property
    def instructions(self) -> Iterator[tuple[str, str]]:
        """Name and the rest, in their order; lines that end in a backslash are put together."""
        lines = (line for line in self.path.read_text().splitlines() if not line.lstrip().startswith("#"))
        for line in "\n".join(lines).replace("\\\n", " ").splitlines():
            if line.strip():
                name, rest = line.split(maxsplit=1)
                yield name.upper(), " ".join(rest.split())

    def all(self, name: str) -> list[str]:
        return [rest for found, rest in self.instructions if found == name]

    def one(self, name: str) -> str:
        (rest,) = self.all(name)
        return rest

    @property
    def copies(self) -> Iterator[tuple[list[str], str]]:
        """Sources within the project, and where they go; those from other images are left out."""
        for rest in self.all("COPY"):
            if "--from=" not in rest:
                *sources, to = [word for word in shlex.split(rest) if not word.startswith("--")]
                yield sources, to


@pytest.fixture(scope="session")
def torchserve() -> Dockerfile:
    return Dockerfile(DOCKER / "torchserve.Dockerfile")


@pytest.fixture(scope="session")
def handmade(tmp_path_factory) -> Path:
    """The bundle of tests/serving/conftest.py."""
    spec = importlib.util.spec_from_file_location("handmade", ROOT / "tests" / "serving" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.write_bundle(tmp_path_factory.mktemp("handmade") / "bundle")


@dataclass(frozen=True)
class Laid:
    """An image's content: its working directory, its Python with the packages it installs, its environment."""

    workdir: Path
    python: Path
    environment: dict[str, str]

    def words(self, command: str, **places: object) -> list[str]:
        """A command of the Dockerfile as it is run here; places: a folder at the image's root -> one here."""
        program, *words = json.loads(command)
        assert program == "python"
        return [str(self.python), *(str(places.get(word.removeprefix("/"), word)) for word in words)]


@pytest.fixture(scope="session")
def laid(torchserve, tmp_path_factory) -> Laid:
    """What torchserve.Dockerfile copies, and nothing else; what it installs, linked from here, and nothing else."""
    folder = tmp_path_factory.mktemp("image")
    workdir = folder / "okkhor"
    workdir.mkdir()
    for sources, to in torchserve.copies:
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, workdir / to, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, workdir / to)
    python = linked_python(folder / "python", wanted(workdir / "torchserve.txt"))
    environment = dict(word.split("=", 1) for rest in torchserve.all("ENV") for word in shlex.split(rest))
    environment["PYTHONPATH"] = environment["PYTHONPATH"].replace(torchserve.one("WORKDIR"), str(workdir))
    return Laid(workdir, python, environment)


@pytest.fixture(scope="session")
def training_python(tmp_path_factory) -> Path:
    """A Python with the packages of the image for training, linked from here, and nothing else."""
    return linked_python(tmp_path_factory.mktemp("training") / "python", wanted(DOCKER / "training.txt"))


def wanted(file: Path) -> list[str]:
    """The requirements that a file names."""
    return [line for line in file.read_text().splitlines() if line and not line.startswith("#")]


def linked_python(folder: Path, requirements: list[str]) -> Path:
    """A virtual environment with what pip would install for some requirements, linked from this one; its Python."""
    venv.create(folder, symlinks=True)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    for name in sorted(_with_dependencies(iter(requirements))):
        for top in {file.parts[0] for file in metadata.distribution(name).files or ()} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(metadata.distribution(name).locate_file(top))
    return folder / "bin" / "python"


def _with_dependencies(requirements: Iterator[str]) -> set[str]:
    """Names of distributions that pip would install here."""
    found: dict[str, set[str]] = {}  # with the extras that were asked for
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        wanted = waiting.pop()
        extras = {"", *wanted.extras}
        if extras <= found.get(wanted.name, set()):
            continue
        found.setdefault(wanted.name, set()).update(extras)
        for needed in map(Requirement, metadata.requires(wanted.name) or ()):
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    return set(found)
