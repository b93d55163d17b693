"""Put a trained model online with TorchServe; `make serve` does this, `make stop` ends it.

python serve/start.py                                   # the newest run, ONNX Runtime, http://127.0.0.1:8080
python serve/start.py --run runs/default/2026-11-22_20-18-00 --format onnx_int8 --port 0
python serve/start.py --host 0.0.0.0                    # for others to reach: requests then need a token
python serve/start.py --foreground                      # stays, and prints the server's log

With --foreground, Ctrl-C and SIGTERM end the server, status 130; status 1: it ended by itself.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from choosing import ROOT, add_format, chosen_bundle, newest_run

if TYPE_CHECKING:
    from okkhor.serving.bundle import Bundle
    from okkhor.serving.torchserve.settings import Settings
    from okkhor.serving.torchserve.state import Running, ServeFolder

os.environ.setdefault("OKKHOR_ROOT", str(ROOT))

SAMPLE = Path(__file__).resolve().parent / "torchserve" / "sample.png"  # a printed letter to ask about
STOPPED_SECONDS = 5.0  # that serve/stop.py may take from the server's end to its record's


def main() -> None:
    from okkhor.errors import InputError, StoppedError
    from okkhor.serving.torchserve.process import stop
    from okkhor.serving.torchserve.state import ServeFolder

    arguments = _arguments()
    signal.signal(signal.SIGTERM, _interrupt)  # a container's first process has no other way to hear of it
    settings = _settings(arguments)
    folder = ServeFolder.find(arguments.dir, ROOT)
    if found := folder.running():
        where = "is starting" if not found.ready else f"runs already at {found.urls['inference']}"
        raise InputError(f"a server {where}, process {found.pid}; `make stop` ends it")
    model = arguments.bundle or arguments.run or newest_run()
    bundle = chosen_bundle(model, arguments.format, trust=arguments.trust)
    try:
        running = _serve(folder, settings, bundle, arguments)
        _tell(folder, running, bundle, arguments)
        if arguments.foreground:
            _attend(running, folder)
    except KeyboardInterrupt:
        stop(folder)
        raise StoppedError("stopped") from None
    except BaseException:
        stop(folder)
        raise


def _serve(folder: ServeFolder, settings: Settings, bundle: Bundle, arguments: argparse.Namespace) -> Running:
    """Archive, start, register, wait until every worker has loaded the model and one has answered."""
    from okkhor.errors import InputError
    from okkhor.serving.archives.torchserve import write_torchserve
    from okkhor.serving.torchserve.management import Management, RefusedByServerError
    from okkhor.serving.torchserve.process import start

    folder.make()
    archive = write_torchserve(bundle, arguments.format, folder.store, name=arguments.name)
    print(f"starting TorchServe with {bundle.path} ({arguments.format}) …", flush=True)
    running = start(folder, settings, foreground=arguments.foreground)
    try:
        Management(running).register(archive, arguments.name, str(bundle.version))
    except RefusedByServerError as refused:
        raise InputError(
            f"TorchServe could not load {archive.name}: {refused}; see {folder.logs}/workers.log"
        ) from None
    _check(folder, running, arguments.name)
    running = replace(running, model=arguments.name, ready=True)
    folder.write(running)
    return running


def _check(folder: ServeFolder, running: Running, name: str) -> None:
    from base64 import b64encode

    from okkhor.errors import InputError
    from okkhor.serving.client import ask_url

    question = {"image": b64encode(SAMPLE.read_bytes()).decode()}
    url = f"{running.urls['inference']}/predictions/{name}"
    status, answer = ask_url(url, question, token=running.token("inference"))
    if status != 200:
        raise InputError(f"the server answers {status}: {answer.get('message')}; see {folder.logs}")


def _tell(folder: ServeFolder, running: Running, bundle: Bundle, arguments: argparse.Namespace) -> None:
    end = "Ctrl-C" if arguments.foreground else "make stop"
    served = f"{bundle.run} ({arguments.format})"
    url = f"{running.urls['inference']}/predictions/{running.model}"
    token = ""
    if running.tokens:
        key = "import json, sys; print(json.load(open(sys.argv[1]))['inference']['key'])"
        token = f' -H "Authorization: Bearer $(python3 -c {shlex.quote(key)} {shlex.quote(running.tokens)})"'
        print(f"tokens: {running.tokens} (inference for who asks, management for serve/models.py)")
    print(f"{served} answers at {url}, {running.workers} workers; logs in {folder.logs}; {end}")
    print(f"curl{token} -H 'Content-Type: image/png' --data-binary @{shlex.quote(str(SAMPLE))} {url}", flush=True)


def _attend(running: Running, folder: ServeFolder) -> None:
    """Stay until the server ends; raises JobFailedError when nobody stopped it."""
    import psutil

    from okkhor.errors import JobFailedError

    with suppress(psutil.NoSuchProcess):
        psutil.Process(running.pid).wait()  # and so takes it off the list of processes: serve/stop.py waits for that
    give_up = time.monotonic() + STOPPED_SECONDS
    while folder.read():
        if time.monotonic() > give_up:
            raise JobFailedError(f"TorchServe ended by itself; see {folder.logs}")
        time.sleep(0.1)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _settings(arguments: argparse.Namespace) -> Settings:
    from okkhor.errors import InputError
    from okkhor.serving.torchserve.settings import PORTS, Settings, usable_cores

    first, many = arguments.port[0], len(arguments.port)
    if many not in (1, 3, 5):
        raise InputError("--port: expected one port, three (inference, management, metrics), or five (and two of gRPC)")
    if many > 1:
        ports = dict(zip(PORTS, [*arguments.port, *PORTS.values()][:many] + list(PORTS.values())[many:], strict=True))
    elif first == PORTS["inference"]:
        ports = dict(PORTS)
    else:  # the next two for management and metrics, any for gRPC, so that several servers live side by side
        ports = dict.fromkeys(PORTS, 0) | (
            {"inference": first, "management": first + 1, "metrics": first + 2} if first else {}
        )
    workers = arguments.workers or usable_cores()
    return Settings(arguments.host, ports, workers, arguments.batch_size, arguments.max_batch_delay)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--run", type=Path, help="a run directory; default: the newest")
    which.add_argument("--bundle", type=Path, help="a bundle")
    add_format(parser)
    parser.add_argument("--name", default="okkhor", help="in the URL: /predictions/NAME; default: okkhor")
    parser.add_argument("--host", default="127.0.0.1", help="address that requests come to; default: 127.0.0.1")
    parser.add_argument(
        "--port", type=int, nargs="+", default=[8080], metavar="PORT",
        help="of inference, or of inference, management and metrics; 0: free ones; default: 8080 8081 8082",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, help="processes, one thread each; default: one a processor")
    parser.add_argument("--batch-size", type=int, default=8, help="requests computed together; default: 8")
    parser.add_argument("--max-batch-delay", type=int, default=1, metavar="MS", help="to wait for them; default: 1")
    parser.add_argument("--dir", type=Path, help="where it keeps its things; default: $OKKHOR_SERVE_DIR or .serve")
    parser.add_argument("--foreground", action="store_true", help="stay, print the log, end the server with this")
    return parser.parse_args()


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        sys.exit(main())
