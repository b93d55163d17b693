"""Containers of the local AWS's endpoints: SageMaker's own inference toolkit, really started, on what lies in S3.

A double of what SageMaker does around them: it unpacks the archive, hands on the model's environment, asks until a
container is healthy, loads the models of a multi-model endpoint when they are first asked for.
"""

import hashlib
import http.client
import json
import tarfile
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DRAIN_SECONDS = 60


class Container:
    """One container. model: the request that made its model; s3: a client. Raises what its start raises."""

    def __init__(self, model: Mapping[str, Any], s3: Any, folder: Path) -> None:
        from okkhor.serving.neighbors import sagemaker_toolkit

        self.definition = model["PrimaryContainer"]
        self.several = self.definition.get("Mode") == "MultiModel"
        self.s3, self.folder = s3, Path(tempfile.mkdtemp(prefix="container-", dir=folder))
        self.loaded: dict[str, str] = {}
        self.busy, self.lock = 0, threading.Lock()
        self.stack = ExitStack()
        archive = None if self.several else self._fetch(self.definition["ModelDataUrl"], "model.tar.gz")
        started = sagemaker_toolkit(archive, self.folder, workers=1, environment=self.definition["Environment"])
        self.url = self.stack.enter_context(started)

    def ask(self, body: bytes, headers: Mapping[str, str], target: str | None) -> tuple[int, str, bytes]:
        """Status, content type and body of the answer."""
        with self.lock:
            self.busy += 1
        try:
            if target is None:
                return post(self.url, body, headers)
            return post(f"{self.url}/models/{self._load(target)}/invoke", body, headers)
        finally:
            with self.lock:
                self.busy -= 1

    def output(self) -> list[str]:
        return (self.folder / "output.txt").read_text(errors="replace").splitlines()

    def close(self) -> None:
        """Once what is asked is answered."""
        give_up = time.monotonic() + DRAIN_SECONDS
        while self.busy and time.monotonic() < give_up:
            time.sleep(0.05)
        self.stack.close()

    def _load(self, target: str) -> str:
        """The container's own name of a model, loaded where need be."""
        with self.lock:
            if target not in self.loaded:
                name = hashlib.sha256(target.encode()).hexdigest()[:16]
                place = self.folder / "models" / name / "model"
                place.mkdir(parents=True)
                with tarfile.open(self._fetch(self.definition["ModelDataUrl"] + target, f"{name}.tar.gz")) as archive:
                    archive.extractall(place, filter="data")
                asked = json.dumps({"model_name": name, "url": str(place)}).encode()
                status, _, said = post(f"{self.url}/models", asked, {"Content-Type": "application/json"})
                if status != 200:
                    raise RuntimeError(f"the container did not load {target}: {status} {said.decode()}")
                self.loaded[target] = name
        return self.loaded[target]

    def _fetch(self, uri: str, name: str) -> Path:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        self.s3.download_file(bucket, key, str(self.folder / name))
        return self.folder / name


def post(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str, bytes]:
    at = urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=60)
    try:
        connection.request("POST", at.path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", "application/json"), answer.read()
    finally:
        connection.close()
