"""The same Predictor as a Ray Serve application: replicas that grow with the load, on one machine or a cluster.

python serve/ray_app.py RUN --port 8000                       # a Ray started here, which ends with Ctrl-C
python serve/ray_app.py RUN --address auto --max-replicas 16  # on the cluster that this machine belongs to
curl -H 'Content-Type: image/png' --data-binary @letter.png http://127.0.0.1:8000/predictions/okkhor

For a cluster's own configuration file, `application(bundle, …)` builds what `serve deploy` takes.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from choosing import ROOT, add_format, chosen_bundle

os.environ.setdefault("OKKHOR_ROOT", str(ROOT))

BATCH, DELAY_SECONDS = 8, 0.001
QUEUE = 100  # requests that wait for a replica; one more is answered 503
MAX_REQUEST = 8 << 20  # bytes
CONNECT_SECONDS = 5.0


def application(
    bundle: str, format: str = "onnx", name: str = "okkhor", least: int = 1, most: int = 4, ongoing: int = 4
) -> Any:
    """The application for `ray.serve.run`.

    bundle: a folder that every machine sees; least, most: replicas, each computes with one thread; ongoing: requests
    of a replica above which another is started.
    """
    from ray import serve
    from starlette.requests import Request
    from starlette.responses import JSONResponse

    from okkhor.serving.service import Item, Received, Service

    scaling = {
        "min_replicas": least, "max_replicas": most, "target_ongoing_requests": ongoing,
        "upscale_delay_s": 2.0, "downscale_delay_s": 60.0, "metrics_interval_s": 1.0, "look_back_period_s": 2.0,
    }  # fmt: skip

    @serve.deployment(
        name=name, autoscaling_config=scaling, max_ongoing_requests=32, max_queued_requests=QUEUE,
        ray_actor_options={"num_cpus": 1, "runtime_env": {"env_vars": {"OMP_NUM_THREADS": "1"}}},
    )  # fmt: skip
    class Letters:
        def __init__(self) -> None:
            self.service = Service.load(Path(bundle), format)

        async def __call__(self, request: Request) -> JSONResponse:
            what, _, model = request.url.path.strip("/").partition("/")
            if request.url.path == "/ping":
                return JSONResponse({"status": "Healthy"})
            if what not in ("predictions", "explanations") or model != name:
                said = f"{request.url.path[:80]}: expected /predictions/{name} or /explanations/{name}"
                return _refused(404, "NotFound", said)
            if request.method != "POST":
                return _refused(405, "MethodNotAllowed", f"{request.method}; expected POST")
            body = bytearray()
            async for part in request.stream():
                body += part
                if len(body) > MAX_REQUEST:
                    return _refused(413, "TooLarge", f"more than {MAX_REQUEST:,} bytes")
            explain = what == "explanations"
            status, answer = await self.answer(Received(bytes(body), request.headers.get("content-type"), explain))
            return JSONResponse(answer, status)

        @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=DELAY_SECONDS)
        async def answer(self, received: list[Received]) -> list[Item]:
            return self.service.answer(received)

    def _refused(status: int, type: str, message: str) -> JSONResponse:
        return JSONResponse({"code": status, "type": type, "message": message}, status)

    return Letters.bind()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="RUN", help="a run directory or a bundle")
    parser.add_argument("--name", default="okkhor", help="in the URL: /predictions/NAME; default: okkhor")
    parser.add_argument("--address", help="of a Ray cluster, or auto; default: one that is started here")
    parser.add_argument("--host", default="127.0.0.1", help="address that requests come to; default: 127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="default: 8000")
    parser.add_argument("--min-replicas", type=int, default=1, metavar="N", help="default: 1")
    parser.add_argument("--max-replicas", type=int, default=os.cpu_count() or 1, metavar="N", help="processors")
    add_format(parser)
    arguments = parser.parse_args()

    from okkhor.errors import InputError, JobFailedError, StoppedError
    from okkhor.serving.predictor import Predictor

    if not 0 < arguments.min_replicas <= arguments.max_replicas:
        raise InputError(
            f"--min-replicas={arguments.min_replicas} --max-replicas={arguments.max_replicas}: expected 1 or more, "
            "and no more least than most"
        )
    if arguments.address is None:  # a cluster may serve there already
        _check_port(arguments.host, arguments.port)
    bundle = chosen_bundle(arguments.model, arguments.format, trust=arguments.trust)
    Predictor.load(bundle, arguments.format, trust=True)  # what is wrong with it is said here in one line
    ended = threading.Event()
    leave = _join(arguments.address)
    try:
        from ray import serve

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        built = application(
            str(bundle.path.absolute()),
            arguments.format,
            arguments.name,
            arguments.min_replicas,
            arguments.max_replicas,
        )
        http = {"host": arguments.host, "port": arguments.port}
        try:
            serve.start(http_options=http, logging_config={"log_level": "ERROR"})
            serve.run(built, name=arguments.name, route_prefix="/")
        except Exception as error:  # whatever it is, a replica's traceback included
            words = str(error).strip().splitlines() or [type(error).__name__]
            raise JobFailedError(f"Ray Serve cannot serve {bundle.path}: {words[-1]}") from error
        url = f"http://{arguments.host}:{arguments.port}/predictions/{arguments.name}"
        print(f"{bundle.run} ({arguments.format}) answers at {url}; Ctrl-C ends it", flush=True)
        if not arguments.host.startswith("127."):
            print("others can reach this model without a token", file=sys.stderr, flush=True)
        ended.wait()
        # a cluster may serve others' models as well
        serve.shutdown() if arguments.address is None else serve.delete(arguments.name)
    finally:
        leave()
    raise StoppedError("stopped")


def _check_port(host: str, port: int) -> None:
    from okkhor.errors import InputError

    if not 0 < port < 65536:
        raise InputError(f"--port={port}: expected a number from 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InputError(
                f"{host}:{port} cannot be listened on: {error.strerror}; expected another --port"
            ) from error


def _check_cluster(address: str) -> None:
    """Ray itself would look for it for many minutes."""
    from okkhor.errors import InputError

    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError, ValueError) as error:
        raise InputError(
            f"--address={address}: no Ray cluster there ({error}); expected HOST:6379, or auto on one of its machines"
        ) from error


def _join(address: str | None) -> Any:
    """Start a Ray here or enter a cluster; returns what leaves it again, with no process and no file left behind."""
    from okkhor.errors import InputError

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_SERVE_ENABLE_TASK_EVENTS"] = "0"
    # of five seconds by default, after which Ray starts its proxy anew, without end on a busy machine
    os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")
    if address is None and "RAY_AUTH_MODE" not in os.environ:
        # a token of this Ray's own, in place of one in the home folder; Ray reads it when it is imported
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        import ray
        import ray.serve
    except ImportError as error:
        raise InputError(f"Ray Serve is not installed ({error}); pip install -e '.[ray]'") from error

    from okkhor.launching.reaper import Reaper

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if address is not None:
        _check_cluster(address)
        try:
            ray.init(address=address, **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise InputError(f"--address={address}: no Ray cluster there ({str(error).splitlines()[0]})") from error
        return ray.shutdown
    folder = tempfile.mkdtemp(prefix="okkhor-ray-", dir="/tmp")  # the sockets' paths have at most 107 bytes
    reaper = Reaper(folder)
    try:
        ray.init(address="local", include_dashboard=False, _temp_dir=folder, **options)
    except BaseException:
        reaper.finish()
        raise

    def leave() -> None:
        ray.shutdown()
        reaper.finish()

    return leave


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
