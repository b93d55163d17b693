"""The folder `.serve/`: the model store, logs, and server.json, which says what is running."""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from okkhor.atomic import write_atomically
from okkhor.errors import InputError

SERVE_DIR = "OKKHOR_SERVE_DIR"


@dataclass(frozen=True)
class Running:
    """A server that was started.

    pid, created: the Java process and when it began, since process ids come again; urls: of each service; tokens: the
    file that holds them, None on loopback; scratch: folder for its sockets; workers, batch_size, max_batch_delay: what
    models are started with; model: that it was started for; ready: its workers have loaded that.
    """

    pid: int
    created: float
    host: str
    ports: dict[str, int]
    urls: dict[str, str]
    tokens: str | None
    scratch: str
    workers: int
    batch_size: int
    max_batch_delay: int
    model: str = ""
    ready: bool = False

    def process(self) -> psutil.Process | None:
        """The Java process, None when it has ended."""
        try:
            found = psutil.Process(self.pid)
            if abs(found.create_time() - self.created) < 1 and found.status() != psutil.STATUS_ZOMBIE:
                return found
        except psutil.NoSuchProcess:
            pass
        return None

    def token(self, kind: str) -> str | None:
        """A token of this server, kind: inference or management; None where it wants none."""
        if self.tokens is None:
            return None
        try:
            return json.loads(Path(self.tokens).read_text(encoding="utf-8"))[kind]["key"]
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{self.tokens}: cannot be read ({error}); the user who started the server can") from error


@dataclass(frozen=True)
class ServeFolder:
    """Where a server keeps its things."""

    path: Path

    @classmethod
    def find(cls, given: str | Path | None, root: Path) -> "ServeFolder":
        """The folder given, else OKKHOR_SERVE_DIR's, else `.serve` in the project."""
        return cls(Path(given or os.environ.get(SERVE_DIR) or root / ".serve").expanduser().absolute())

    @property
    def store(self) -> Path:
        return self.path / "store"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def record(self) -> Path:
        return self.path / "server.json"

    def make(self) -> None:
        for folder in (self.path, self.store, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)  # tokens lie here

    def write(self, running: Running) -> None:
        write_atomically(self.record, json.dumps(asdict(running), indent=2) + "\n")

    def read(self) -> Running | None:
        """What was started last and not stopped, alive or not; None when there is nothing."""
        try:
            found: dict[str, Any] = json.loads(self.record.read_text(encoding="utf-8"))
            return Running(**found)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"{self.record}: cannot be read ({error}); end the server by hand and remove it"
            ) from error

    def running(self) -> Running | None:
        """The server that runs now, None when there is none."""
        found = self.read()
        return found if found and found.process() else None

    def required(self) -> Running:
        """The server that runs now; raises InputError when there is none."""
        found = self.running()
        if found is None:
            raise InputError(f"no server is running in {self.path}; `make serve` starts one")
        return found

    def clear(self, running: Running) -> None:
        """Remove what a server that has ended left behind, but for its logs and archives."""
        shutil.rmtree(running.scratch, ignore_errors=True)
        (self.path / "key_file.json").unlink(missing_ok=True)
        self.record.unlink(missing_ok=True)
