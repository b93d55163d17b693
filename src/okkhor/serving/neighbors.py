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
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from okkhor.errors import InputError
from okkhor.serving.torchserve.settings import LOOPBACK, MAX_REQUEST, QUEUE, usable_cores

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 120
OUTPUT = "output.txt"
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
    with running(words, folder) as process:
        url = f"http://{LOOPBACK}:{inference}/predictions/okkhor"
        described = f"http://{LOOPBACK}:{management}/models/okkhor"
        wait_until(lambda: has_workers(described) and has_loaded(url), folder, process)
        yield url


@contextmanager
def sagemaker_toolkit(
    archive: Path | None, folder: Path, *, workers: int | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """URL of `archive` (of write_sagemaker) served by SageMaker's inference toolkit; folder: stands for /opt/ml.

    archive: None starts a container of several models, which are loaded at the URL's `/models`; environment: of the
    container, as an endpoint's model says.
    """
    python = python_of("sagemaker")
    ports = free_ports(4)
    words = [str(python), str(ROOT / "serve" / "sagemaker" / "local.py"), *([str(archive)] if archive else [])]
    words += ["--dir", str(folder), "--workers", str(workers or usable_cores()), "--port", *map(str, ports)]
    base = f"http://{LOOPBACK}:{ports[0]}"
    with running(words, folder, environment=environment) as process:
        wait_until(lambda: has_workers(f"{base}/models/model") if archive else answers(f"{base}/ping"), folder, process)
        yield f"{base}/invocations" if archive else base


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
def running(
    words: list[str],
    folder: Path,
    *,
    threads: int | None = 1,
    grace: float = 0.0,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen]:
    """Start a server, and end it with everything that it started.

    folder: for its files, what it prints goes to output.txt there; threads: that a process computes with, None: what
    the libraries choose; grace: seconds that it gets to end by itself once it is asked to, before it is killed;
    environment: of it, besides this process's.
    """
    scratch = folder / "scratch"  # sockets and pid files
    scratch.mkdir(exist_ok=True)
    whole = {**os.environ, "TEMP": str(scratch), "TMPDIR": str(scratch), MARK: str(folder)}
    whole.pop("OMP_NUM_THREADS", None)
    if threads is not None:
        whole["OMP_NUM_THREADS"] = str(threads)
    whole |= environment or {}
    whole["JAVA_TOOL_OPTIONS"] = "-XX:-UsePerfData"  # else it leaves a file in /tmp when it is killed
    with (folder / OUTPUT).open("wb") as output:
        process = subprocess.Popen(
            words, cwd=folder, env=whole, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        try:
            if grace and process.poll() is None:
                process.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(grace)
        finally:
            members = family(folder)
            for one in members:
                with suppress(psutil.NoSuchProcess):
                    one.send_signal(signal.SIGKILL)  # their own way to stop fails now and then
            process.wait()
            psutil.wait_procs(members, timeout=30)


def family(folder: Path) -> list[psutil.Process]:
    """Processes that were started for a folder, also those that cut loose, as the toolkit's Java does."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(folder):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def wait_until(ready: Callable[[], bool], folder: Path, process: subprocess.Popen) -> None:
    """Ask until a server is ready; raises InputError with its last words when it ends, or takes too long."""
    give_up = time.monotonic() + START_SECONDS
    while not ready():
        if time.monotonic() > give_up or process.poll() is not None:
            raise InputError(f"the server does not answer; it said: {last_words(folder)}")
        time.sleep(0.2)


def last_words(folder: Path) -> str:
    """What a server that was started for this folder printed last."""
    lines = (folder / OUTPUT).read_text(encoding="utf-8", errors="replace").splitlines()
    return " / ".join(lines[-3:])[:500]


def has_workers(url: str) -> bool:
    """Whether all workers of a model are ready; url: where TorchServe or Multi Model Server describe it."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            described: list[dict[str, Any]] | dict[str, Any] = json.loads(answer.read())
    except (OSError, ValueError):
        return False
    one = described[0] if isinstance(described, list) else described  # TorchServe gives a list of versions
    workers = one.get("workers", [])
    ready = sum(worker["status"] == "READY" for worker in workers)
    return ready == len(workers) >= max(1, one.get("minWorkers", 1))


def answers(url: str) -> bool:
    """Whether a server answers there at all."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def has_loaded(url: str) -> bool:
    """Whether our own code refuses an empty request: Multi Model Server calls workers ready before they have loaded."""
    try:
        urllib.request.urlopen(urllib.request.Request(url, b""), timeout=5).close()
    except urllib.error.HTTPError as error:
        with error:
            return error.code == 400
    except OSError:
        return False
    return False
