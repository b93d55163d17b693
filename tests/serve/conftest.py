"""Servers for the tests of this folder, one of each kind, with the bundle made by hand: it computes in no time."""

import base64
import http.client
import importlib.util
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    """A running server: its folder, and its ports by service."""

    dir: Path
    ports: dict[str, int]
    pid: int

    def ask(
        self,
        body: bytes | None,
        kind: str | None = "image/png",
        path: str = "/predictions/okkhor",
        *,
        method: str = "POST",
        service: str = "inference",
        timeout: float = 60,
        **headers: str,
    ) -> Answered:
        return ask(self.ports[service], body, kind, path, method=method, timeout=timeout, **headers)

    def workers(self, version: str = "1.0") -> dict[int, str]:
        """Process id -> status of a version's workers."""
        described = self.ask(None, None, f"/models/okkhor/{version}", method="GET", service="management").json
        return {worker["pid"]: worker["status"] for worker in described[0]["workers"]}

    def models(self, *words: str) -> subprocess.CompletedProcess:
        """Run serve/models.py."""
        return command("serve/models.py", "--dir", str(self.dir), *words)


@dataclass(frozen=True)
class Neighbor:
    """Another server of the same bundle: where it answers, and the folder of its files."""

    url: str
    dir: Path

    def ask(self, body: bytes | None, kind: str | None = "image/png", path: str | None = None, **more: Any) -> Answered:
        at = urlsplit(self.url)
        return ask(at.port, body, kind, path or at.path, **more)

    def processes(self) -> dict[int, str]:
        """Process id -> command line of all that was started for it."""
        from okkhor.serving.neighbors import family

        return {one.pid: " ".join(one.cmdline()) for one in family(self.dir)}

    def listening(self) -> set[tuple[str, int]]:
        """Addresses and ports."""
        every = [one for pid in self.processes() for one in psutil.Process(pid).net_connections("inet")]
        return {
            (one.laddr.ip.removeprefix("::ffff:"), one.laddr.port) for one in every if one.status == psutil.CONN_LISTEN
        }


def ask(
    port: int,
    body: bytes | None,
    kind: str | None,
    path: str,
    *,
    method: str = "POST",
    timeout: float = 60,
    **headers: str,
) -> Answered:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, sent | ({"Content-Type": kind} if kind is not None else {}))
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answered(answer.status, found, answer.read())
    finally:
        connection.close()


def command(*words: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(ROOT / words[0]), *words[1:]],
        capture_output=True, text=True, timeout=timeout, env={**os.environ, **environment},
    )  # fmt: skip


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def module_of(path: str) -> ModuleType:
    """A file of this project as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def strays() -> set[Path]:
    """Files that these servers leave where temporary files go, unless they are told another place."""
    patterns = (".mms.sock.*", ".ts.sock.*", ".model_server.pid", "models")
    return {found for pattern in patterns for found in Path(tempfile.gettempdir()).glob(pattern)}


@pytest.fixture(scope="session")
def handmade(tmp_path_factory) -> Path:
    """The bundle of tests/serving/conftest.py."""
    return module_of("tests/serving/conftest.py").write_bundle(tmp_path_factory.mktemp("handmade") / "bundle")


@pytest.fixture(scope="session")
def started(tmp_path_factory) -> Callable:
    """started(*words): a context with a Server, TorchServe by serve/start.py; no process of it is left."""

    @contextmanager
    def start(*words: str) -> Iterator[Server]:
        if shutil.which("java") is None:
            pytest.skip("needs Java: make setup-system")
        folder = tmp_path_factory.mktemp("serve")
        done = command("serve/start.py", *words, "--port", "0", "--dir", str(folder))
        family = []
        try:
            assert done.returncode == 0, done.stderr
            record = json.loads((folder / "server.json").read_text())
            yield Server(folder, record["ports"], record["pid"])
            family = [record["pid"], *(child.pid for child in psutil.Process(record["pid"]).children(recursive=True))]
        finally:
            command("serve/stop.py", "--dir", str(folder))
        assert len(family) >= 2
        assert not [pid for pid in family if alive(pid)]
        assert not (folder / "server.json").exists()

    return start


@pytest.fixture(scope="session")
def server(started, handmade):
    with started("--bundle", str(handmade), "--workers", "2") as found:
        yield found


@pytest.fixture(scope="session")
def serving(tmp_path_factory) -> Callable:
    """serving(target, model, format): a context with a Neighbor; model: a run or a bundle, archived as a user does.

    target: mms or sagemaker. When it ends, no process, port or file of it is left.
    """
    from okkhor.errors import InputError
    from okkhor.serving.neighbors import multi_model_server, python_of, sagemaker_toolkit

    servers = {"mms": multi_model_server, "sagemaker": sagemaker_toolkit}

    @contextmanager
    def start(target: str, model: Path, format: str = "onnx", workers: int = 2) -> Iterator[Neighbor]:
        if shutil.which("java") is None:
            pytest.skip("needs Java: make setup-system")
        try:
            python_of(target)
        except InputError as error:
            pytest.skip(str(error))
        folder, before = tmp_path_factory.mktemp(f"{target}-{format}"), strays()
        words = ("--target", target, "--format", format, "--out", str(folder / "archives"))
        archived = command("serve/archive.py", *words, str(model))
        assert archived.returncode == 0, archived.stderr
        archive = Path(archived.stdout.splitlines()[-1])
        with servers[target](archive, folder, workers=workers) as url:
            found = Neighbor(url, folder)
            family, addresses = found.processes(), found.listening()
            assert len(family) >= 2 + workers  # what started it, Java, workers
            assert addresses
            yield found
        assert found.processes() == {}
        assert not [pid for pid in family if alive(pid)]
        for address in addresses:
            with socket.socket() as probe:
                assert probe.connect_ex(address) != 0, f"{address} is listened on still"
        assert strays() <= before
        assert not [pid for pid in family if list(Path("/tmp").glob(f"hsperfdata_*/{pid}"))]  # of a killed Java

    return start


@pytest.fixture(scope="session")
def mms(serving, handmade):
    with serving("mms", handmade) as found:
        yield found


@pytest.fixture(scope="session")
def toolkit(serving, handmade):
    with serving("sagemaker", handmade) as found:
        yield found


@pytest.fixture(scope="session")
def assert_same() -> Callable[[dict, dict], None]:
    """assert_same(answer, expected): JSON of two answers, but for the time it took and the last digits."""

    def compare(answer: dict, expected: dict) -> None:
        assert answer["grapheme"] == expected["grapheme"]
        assert answer["model"] == expected["model"]
        assert list(answer["heads"]) == list(expected["heads"])
        for head, choices in expected["heads"].items():
            assert [(one["class"], one["text"]) for one in answer["heads"][head]] == [
                (one["class"], one["text"]) for one in choices
            ]
            found = [one["probability"] for one in answer["heads"][head]]
            np.testing.assert_allclose(found, [one["probability"] for one in choices], atol=1e-5)

    return compare


@pytest.fixture(scope="session")
def npy() -> Callable[[np.ndarray], bytes]:
    """npy(array): the bytes of its .npy file."""

    def written(array: np.ndarray) -> bytes:
        file = io.BytesIO()
        np.save(file, array)
        return file.getvalue()

    return written


@pytest.fixture(scope="session")
def asked() -> Callable[..., bytes]:
    """asked(image, top=3, …): the JSON that asks about the bytes of an image."""
    return lambda image, **more: json.dumps({"image": base64.b64encode(image).decode(), **more}).encode()


@pytest.fixture(scope="session")
def fuzz() -> ModuleType:
    """test_fuzz.py: what makes malformed requests, and what an answer to them must be."""
    return module_of("tests/serve/test_fuzz.py")


@pytest.fixture(scope="session")
def drawn() -> Callable[[int], np.ndarray]:
    """drawn(seed): uint8 (137, 236), strokes on paper, another image for each seed."""

    def draw(seed: int) -> np.ndarray:
        random = np.random.default_rng(seed)
        paper = np.full((137, 236), 250, np.uint8)
        corners = random.integers((30, 20), (206, 117), (5, 2))
        return cv2.polylines(paper, [corners.astype(np.int32)], False, 15, 6)

    return draw


@pytest.fixture(scope="session")
def png(drawn) -> Callable[[int], bytes]:
    """png(seed): the bytes of such an image."""
    return lambda seed: cv2.imencode(".png", drawn(seed))[1].tobytes()


@pytest.fixture(scope="session")
def predictor(handmade):
    from okkhor.serving.predictor import Predictor

    return Predictor.load(handmade, "onnx")
