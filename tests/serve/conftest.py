"""One TorchServe for the tests of this folder, with the bundle made by hand: it computes in no time."""

import http.client
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[service], timeout=timeout)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, sent | ({"Content-Type": kind} if kind is not None else {}))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answered(answer.status, found, answer.read())
        finally:
            connection.close()

    def workers(self, version: str = "1.0") -> dict[int, str]:
        """Process id -> status of a version's workers."""
        described = self.ask(None, None, f"/models/okkhor/{version}", method="GET", service="management").json
        return {worker["pid"]: worker["status"] for worker in described[0]["workers"]}

    def models(self, *words: str) -> subprocess.CompletedProcess:
        """Run serve/models.py."""
        return command("serve/models.py", "--dir", str(self.dir), *words)


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


@pytest.fixture(scope="session")
def handmade(tmp_path_factory) -> Path:
    """The bundle of tests/serving/conftest.py."""
    spec = importlib.util.spec_from_file_location("handmade", ROOT / "tests" / "serving" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.write_bundle(tmp_path_factory.mktemp("handmade") / "bundle")


@pytest.fixture(scope="session")
def server(tmp_path_factory, handmade):
    if shutil.which("java") is None:
        pytest.skip("needs Java: make setup-system")
    folder = tmp_path_factory.mktemp("serve")
    started = command(
        "serve/start.py", "--bundle", str(handmade), "--port", "0", "--workers", "2", "--dir", str(folder)
    )
    try:
        assert started.returncode == 0, started.stderr
        record = json.loads((folder / "server.json").read_text())
        family = [record["pid"], *(child.pid for child in psutil.Process(record["pid"]).children(recursive=True))]
        yield Server(folder, record["ports"], record["pid"])
    finally:
        command("serve/stop.py", "--dir", str(folder))
    assert not [pid for pid in family if alive(pid)]
    assert not (folder / "server.json").exists()


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
