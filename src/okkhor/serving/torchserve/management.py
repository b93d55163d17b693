"""TorchServe's management API: models and versions, registered, looked at, made the default, taken away."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from okkhor.errors import InputError
from okkhor.serving.torchserve.state import Running

REGISTER_SECONDS = 150.0
DRAIN_SECONDS = 120.0  # after which the server kills a worker by itself
IDLE_SECONDS = 1.0
POLL_SECONDS = 0.2


class RefusedByServerError(RuntimeError):
    """The server said no; `status`: of HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Management:
    """Asks the server that `running` describes."""

    running: Running

    def register(self, archive: Path, name: str, version: str) -> None:
        """Start the workers of an archive in the store, and wait until all of them have loaded it.

        Raises RefusedByServerError when the server has this name and version, and when a worker ends while it loads;
        the server then has neither.
        """
        # without waiting: a server that waits itself answers nobody meanwhile
        self._ask(
            "POST", "/models", timeout=REGISTER_SECONDS, url=archive.name, model_name=name, synchronous="false",
            initial_workers=self.running.workers, batch_size=self.running.batch_size,
            max_batch_delay=self.running.max_batch_delay,
        )  # fmt: skip
        try:
            self._loaded(name, version)
        except BaseException:
            with suppress(RefusedByServerError, InputError):
                self._unregister(name, version)
            raise

    def names(self) -> list[str]:
        """Of the models that are registered."""
        return [model["modelName"] for model in self._ask("GET", "/models", limit=1000)["models"]]

    def versions(self, name: str) -> list[dict[str, Any]]:
        """What the server says of each version of a model; raises RefusedByServerError when it knows none (404)."""
        return self._ask("GET", f"/models/{_quoted(name)}/all")

    def versions_or_none(self, name: str) -> list[dict[str, Any]]:
        """The same, empty for a model that the server does not know."""
        try:
            return self.versions(name)
        except RefusedByServerError as refused:
            if refused.status == 404:
                return []
            raise

    def version(self, name: str, version: str) -> dict[str, Any] | None:
        """What the server says of one version, None when it has none."""
        return next((one for one in self.versions_or_none(name) if one["modelVersion"] == version), None)

    def default(self, name: str) -> str:
        """The version that `/predictions/<name>` is answered by."""
        return self._ask("GET", f"/models/{_quoted(name)}")[0]["modelVersion"]

    def make_default(self, name: str, version: str) -> None:
        """Have `/predictions/<name>` answered by this version."""
        self._ask("PUT", f"/models/{_quoted(name)}/{_quoted(version)}/set-default")

    def remove(self, name: str, version: str) -> None:
        """Take a version away once it has answered what it was asked.

        Raises RefusedByServerError when there is none, and for the default while there are others.
        """
        if version == self.default(name) and len(self.versions(name)) > 1:
            raise RefusedByServerError(403, f"{name} {version} is the default; make another version that first")
        self._drain(name, version)
        self._unregister(name, version)

    def _loaded(self, name: str, version: str) -> None:
        give_up = time.monotonic() + REGISTER_SECONDS
        started: dict[str, int] = {}  # worker -> its first process; the server starts one that ends over and over
        while True:
            found = self.version(name, version)
            if found is None:
                raise RefusedByServerError(500, f"{name} {version} is not there any more")
            if ready_workers(found) >= self.running.workers:
                return
            for worker in found["workers"]:
                pid = worker["pid"]
                if pid > 0 and started.setdefault(worker["id"], pid) != pid:
                    raise RefusedByServerError(500, f"a worker of {name} {version} ended while it loaded the model")
            if time.monotonic() > give_up:
                raise RefusedByServerError(500, f"{name} {version} did not load within {REGISTER_SECONDS:g} seconds")
            time.sleep(POLL_SECONDS)

    def _drain(self, name: str, version: str) -> None:
        """Wait until nothing is in the queue, and no worker has computed for a while: what it has in hand is there."""
        give_up = time.monotonic() + DRAIN_SECONDS
        idle_since, before = time.monotonic(), -1.0
        while time.monotonic() < min(give_up, idle_since + IDLE_SECONDS):
            found = self.version(name, version) or {}
            waiting = (found.get("jobQueueStatus") or {}).get("pendingRequests", 0)
            spent = sum(_processor_seconds(worker["pid"]) for worker in found.get("workers", []))
            if waiting or spent != before:
                idle_since, before = time.monotonic(), spent
            time.sleep(POLL_SECONDS)

    def _unregister(self, name: str, version: str) -> None:
        self._ask("DELETE", f"/models/{_quoted(name)}/{_quoted(version)}", timeout=REGISTER_SECONDS)

    def _ask(self, method: str, path: str, *, timeout: float = 30.0, **query: object) -> Any:
        url = f"{self.running.urls['management']}{path}"
        if query:
            url += "?" + urllib.parse.urlencode(query)
        headers = {}
        if token := self.running.token("management"):
            headers["Authorization"] = f"Bearer {token}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine
        try:
            with opener.open(urllib.request.Request(url, method=method, headers=headers), timeout=timeout) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                raise RefusedByServerError(error.code, _message(error.read())) from None
        except (OSError, ValueError) as error:
            raise InputError(f"{self.running.urls['management']}: no answer from the server ({error})") from error


def ready_workers(described: dict[str, Any]) -> int:
    """Of a version, as the server describes it."""
    return sum(worker["status"] == "READY" for worker in described.get("workers", []))


def _processor_seconds(pid: int) -> float:
    """That a worker has computed."""
    try:
        times = psutil.Process(pid).cpu_times()
    except (psutil.Error, ValueError):  # it has ended, or not begun
        return 0.0
    return times.user + times.system


def _quoted(word: str) -> str:
    return urllib.parse.quote(word, safe="")


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode("utf-8", "replace")
