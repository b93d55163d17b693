"""The web page on which one draws a grapheme and reads the answer; `make demo` does this.

python serve/demo.py                                # the running TorchServe answers, or else the newest run, here
python serve/demo.py --run runs/default/2026-11-22_20-18-00
python serve/demo.py --url https://models.example.org/predictions/okkhor     # with OKKHOR_TOKEN where it wants one
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import socket
import sys
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from choosing import ROOT, add_format, chosen_bundle, newest_run

if TYPE_CHECKING:
    from okkhor.serving.demo.answering import Answering

os.environ.setdefault("OKKHOR_ROOT", str(ROOT))

LOOPBACK = "127.0.0.1"
AT_ONCE = 40  # connections; one more is answered 503
TOKEN = "OKKHOR_TOKEN"


def main() -> None:
    arguments = _arguments()

    from okkhor.errors import InputError, StoppedError

    try:
        import uvicorn

        from okkhor.serving.demo.app import page_app
    except ImportError as error:
        raise InputError(f"the page's server is not installed ({error}); pip install -e '.[serve]'") from error

    loopback = _is_loopback(arguments.host)
    with _listening(arguments.host, arguments.port) as listener:
        answering = _answering(arguments)
        port = listener.getsockname()[1]
        url = f"http://{LOOPBACK if arguments.host == '0.0.0.0' else arguments.host}:{port}/"
        app = page_app(answering, ["localhost", LOOPBACK, arguments.host] if loopback else ["*"])
        options = uvicorn.Config(
            app, log_level="warning", access_log=False, limit_concurrency=AT_ONCE, timeout_graceful_shutdown=3,
            server_header=False, ws="none", lifespan="off",
        )  # fmt: skip
        print(f"{url}  asks {answering.where()}; Ctrl-C ends it", flush=True)
        if not loopback:
            print("others can reach this page, and the model through it, without a token", file=sys.stderr, flush=True)
        if not arguments.no_open and _has_screen():
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        try:
            uvicorn.Server(options).run([listener])
        except KeyboardInterrupt:
            raise StoppedError("stopped") from None


def _answering(arguments: argparse.Namespace) -> Answering:
    from okkhor.errors import InputError
    from okkhor.serving.demo.answering import AtTorchServe, AtUrl, InProcess
    from okkhor.serving.torchserve.state import ServeFolder

    if arguments.url:
        if not arguments.url.startswith(("http://", "https://")):
            raise InputError(f"--url={arguments.url}: expected http://… or https://…")
        return AtUrl(arguments.url, os.environ.get(TOKEN))
    given = arguments.bundle or arguments.run
    folder = ServeFolder.find(arguments.dir, ROOT)
    if given is None and folder.running():
        return AtTorchServe(folder)

    from okkhor.serving.predictor import Predictor

    bundle = chosen_bundle(given or newest_run(), arguments.format, trust=arguments.trust)
    # a run's bundle was made here
    trust = arguments.trust or arguments.bundle is None
    return InProcess(Predictor.load(bundle, arguments.format, trust=trust))


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens; raises InputError when it cannot."""
    from okkhor.errors import InputError

    if not 0 <= port < 65536:
        raise InputError(f"--port={port}: expected a number from 0 to 65535")
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise InputError(f"{host}:{port} cannot be listened on: {error.strerror}; --port 0 takes a free one") from error
    return listener


def _is_loopback(host: str) -> bool:
    """Raises InputError for what is no IPv4 address."""
    from okkhor.errors import InputError

    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError as error:
        raise InputError(
            f"--host={host}: expected an IPv4 address such as {LOOPBACK}, or 0.0.0.0 for all of this machine's"
        ) from error


def _has_screen() -> bool:
    """Without one, Python would open a browser of text, in this terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--run", type=Path, help="a run directory that answers here")
    which.add_argument("--bundle", type=Path, help="a bundle that answers here")
    which.add_argument("--url", help=f"of a model that is served; its token, if it wants one, in {TOKEN}")
    add_format(parser)
    parser.add_argument("--dir", type=Path, help="of the TorchServe; default: $OKKHOR_SERVE_DIR or .serve")
    parser.add_argument("--host", default=LOOPBACK, help=f"address to listen on; default: {LOOPBACK}")
    parser.add_argument("--port", type=int, default=8090, help="0 takes a free one; default: 8090")
    parser.add_argument("--no-open", action="store_true", help="open no browser")
    return parser.parse_args()


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
