"""The servers that are measured: each is started for its turn, and ended with everything that it started.

They listen on loopback, on ports that were free, and have a worker for each processor.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from okkhor.errors import InputError
from okkhor.serving.archives.mms import write_mms
from okkhor.serving.archives.torchserve import write_torchserve
from okkhor.serving.bundle import Bundle
from okkhor.serving.neighbors import (
    OUTPUT,
    ROOT,
    family,
    free_ports,
    has_workers,
    last_words,
    multi_model_server,
    python_of,
    running,
    wait_until,
)
from okkhor.serving.torchserve.java import find_jars, find_java
from okkhor.serving.torchserve.settings import LOOPBACK, usable_cores
from okkhor.serving.torchserve.state import ServeFolder

STOCK_HANDLER = Path(__file__).with_name("stock_handler.py")
GRACE = 60.0  # seconds for Ray to end by itself


@dataclass(frozen=True)
class Serving:
    """A server that answers at `url`; family: its processes, as they are when it is called."""

    url: str
    family: Callable[[], list[psutil.Process]]


@dataclass(frozen=True)
class Server:
    """One that can be measured.

    label: for the table; format: of the bundle that it takes; required: raises InputError saying what is missing here;
    start: serves a bundle, with an empty folder for its files.
    """

    label: str
    format: str
    required: Callable[[], None]
    start: Callable[[Bundle, Path], AbstractContextManager[Serving]]


@contextmanager
def torchserve(bundle: Bundle, folder: Path) -> Iterator[Serving]:
    """As `make serve` starts it."""
    state = ServeFolder(folder / "serve")
    words = [sys.executable, str(ROOT / "serve" / "start.py"), "--bundle", str(bundle.path), "--format", "onnx"]
    with running([*words, "--port", "0", "--dir", str(state.path)], folder) as process:
        if process.wait():  # the server has cut loose and stays
            raise InputError(f"serve/start.py failed: {last_words(folder)}")
        found = state.required()

        def processes() -> list[psutil.Process]:
            java = psutil.Process(found.pid)
            return [java, *java.children(recursive=True)]

        yield Serving(f"{found.urls['inference']}/predictions/{found.model}", processes)


@contextmanager
def torchserve_stock(bundle: Bundle, folder: Path) -> Iterator[Serving]:
    """TorchServe as its package sets it up, but for ports, and for tokens, which it would want of every request."""
    archive = write_torchserve(bundle, "safetensors", folder / "store", handler=STOCK_HANDLER)
    inference, management, metrics, *grpc = free_ports(5)
    config = folder / "config.properties"
    config.write_text(
        f"inference_address=http://{LOOPBACK}:{inference}\n"
        f"management_address=http://{LOOPBACK}:{management}\n"
        f"metrics_address=http://{LOOPBACK}:{metrics}\n"
        f"grpc_inference_port={grpc[0]}\ngrpc_management_port={grpc[1]}\n",
        encoding="utf-8",
    )
    words = [
        sys.executable, "-m", "ts.model_server", "--start", "--foreground", "--disable-token-auth",
        "--model-store", str(archive.parent), "--models", f"okkhor={archive.name}", "--ts-config", str(config),
    ]  # fmt: skip
    with running(words, folder, threads=None) as process:
        wait_until(lambda: has_workers(f"http://{LOOPBACK}:{management}/models/okkhor"), folder, process)
        yield Serving(f"http://{LOOPBACK}:{inference}/predictions/okkhor", lambda: family(folder))


@contextmanager
def mms(bundle: Bundle, folder: Path) -> Iterator[Serving]:
    """Multi Model Server in its own environment."""
    archive = write_mms(bundle, "onnx", folder / "store")
    with multi_model_server(archive, folder) as url:
        yield Serving(url, lambda: family(folder))


@contextmanager
def ray(bundle: Bundle, folder: Path) -> Iterator[Serving]:
    """serve/ray_app.py with all its replicas from the start: one that comes later would change what is measured."""
    (port,) = free_ports(1)
    cores = str(usable_cores())
    words = [sys.executable, str(ROOT / "serve" / "ray_app.py"), str(bundle.path), "--port", str(port)]
    words += ["--min-replicas", cores, "--max-replicas", cores]
    # it dies with this process, and what it has started with it
    tethered = [sys.executable, "-m", "okkhor.serving.torchserve.tethered", str(os.getpid()), *words]
    with running(tethered, folder, grace=GRACE) as process:
        said = folder / OUTPUT
        wait_until(lambda: "answers at" in said.read_text(encoding="utf-8", errors="replace"), folder, process)
        yield Serving(f"http://{LOOPBACK}:{port}/predictions/okkhor", lambda: family(folder))


def _torchserve_required() -> None:
    find_java()
    find_jars()
    if find_spec("model_archiver") is None:
        raise InputError("torch-model-archiver is not installed; pip install -e '.[serve]'")


def _mms_required() -> None:
    python_of("mms")
    find_java()


def _ray_required() -> None:
    if find_spec("ray") is None or find_spec("starlette") is None:
        raise InputError("Ray Serve is not installed; pip install -e '.[ray]'")


SERVERS = {
    "torchserve-stock": Server("TorchServe stock, eager", "safetensors", _torchserve_required, torchserve_stock),
    "torchserve": Server("TorchServe ours, onnx", "onnx", _torchserve_required, torchserve),
    "mms": Server("Multi Model Server, onnx", "onnx", _mms_required, mms),
    "ray": Server("Ray Serve, onnx", "onnx", _ray_required, ray),
}
