"""Other servers of the same bundle, started here for tests and comparisons: Multi Model Server, SageMaker's toolkit.

Each runs in an environment of its own, which `make setup-servers` makes.
"""

import json
import os
import random
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from okkhor.errors import InputError
from okkhor.serving.torchserve.settings import LOOPBACK, MAX_REQUEST, QUEUE, usable_cores

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 120
MARK = "OKKHOR_NEIGHBOR"  # in the environment of every process of a server: the folder it was started for


def python_of(server: str) -> Path:
    """The interpreter of a server's environment; raises InputError where there is none."""
    found = ROOT / ".servers" / server / "bin" / "python"
    if not found.is_file():
        raise InputError(f"{server}: not installed; make setup-servers")
    return found


@contextmanager
def multi_model_server(archive: Path, folder: Path, *, workers: int | None = None) -> Iterator[str]:
    """URL of `archive` (of write_mms) served with as many workers as processors; folder: for its files."""
    python = python_of("mms")
    inference, management = free_ports(2)
    config = folder / "mms.properties"
    config.write_text(
        f"inference_address=http://{LOOPBACK}:{inference}\n"
        f"management_address=http://{LOOPBACK}:{management}\n"
        f"default_workers_per_model={workers or usable_cores()}\n"
        "decode_input_request=false\n"  # it would parse JSON itself, and lose its worker to what is none
        f"max_request_size={MAX_REQUEST}\njob_queue_size={QUEUE}\n",
        encoding="utf-8",
    )
    words = [
        str(python.with_name("multi-model-server")), "--start", "--foreground", "--models", f"okkhor={archive.name}",
        "--model-store", str(archive.parent), "--mms-config", str(config),
    ]  # fmt: skip
    with _running(words, folder) as process:
        url = f"http://{LOOPBACK}:{inference}/predictions/okkhor"
        _wait(f"http://{LOOPBACK}:{management}/models/okkhor", folder, process)
        yield url


@contextmanager
def sagemaker_toolkit(archive: Path, folder: Path) -> Iterator[str]:
    """URL of `archive` (of write_sagemaker) served by SageMaker's inference toolkit; folder: stands for /opt/ml."""
    python = python_of("sagemaker")
    ports = free_ports(4)
    words = [str(python), str(ROOT / "serve" / "sagemaker" / "local.py"), str(archive), "--dir", str(folder), "--port"]
    with _running([*words, *map(str, ports)], folder) as process:
        _wait(f"http://{LOOPBACK}:{ports[0]}/models/model", folder, process)
        yield f"http://{LOOPBACK}:{ports[0]}/invocations"


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nothing listens on; Multi Model Server takes none above 49151."""
    with ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            port = random.SystemRandom().randrange(20_000, 32_000)  # below what connections are given
            try:
                stack.enter_context(socket.socket()).bind((LOOPBACK, port))
            except OSError:
                continue
            found.append(port)
        return found


@contextmanager
def _running(words: list[str], folder: Path) -> Iterator[subprocess.Popen]:
    scratch = folder / "scratch"  # sockets and pid files
    scratch.mkdir(exist_ok=True)
    environment = {**os.environ, "TEMP": str(scratch), "TMPDIR": str(scratch), "OMP_NUM_THREADS": "1"}
    environment[MARK] = str(folder)
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        family = _family(folder)
        for one in family:
            try:
                one.send_signal(signal.SIGKILL)  # their own way to stop fails now and then
            except psutil.NoSuchProcess:
                continue
        process.wait()
        psutil.wait_procs(family, timeout=30)


def _family(folder: Path) -> list[psutil.Process]:
    """Processes that were started for a folder, also those that cut loose, as the toolkit's Java does."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(folder):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def _wait(url: str, folder: Path, process: subprocess.Popen) -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if _has_workers(json.loads(answer.read())):
                    return
        except (OSError, ValueError):
            pass
        if time.monotonic() > give_up or process.poll() is not None:
            lines = (folder / "output.txt").read_text(encoding="utf-8", errors="replace").splitlines()
            raise InputError(f"the server does not answer; it said: {' / '.join(lines[-3:])[:500]}")
        time.sleep(0.2)


def _has_workers(described: list[dict[str, Any]] | dict[str, Any]) -> bool:
    """Of a model, as TorchServe (a list of versions) or Multi Model Server describe it."""
    one = described[0] if isinstance(described, list) else described
    workers = one.get("workers", [])
    return bool(workers) and all(worker["status"] == "READY" for worker in workers)
