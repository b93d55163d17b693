"""Models and versions of the running server, side by side; nobody's request is dropped while they change.

python serve/models.py list
python serve/models.py add RUN --version 2.0            # beside the first: /predictions/okkhor/2.0, to compare them
python serve/models.py default okkhor 2.0               # /predictions/okkhor is answered by it from now on
python serve/models.py remove okkhor 1.0                # once it has answered what it was asked
python serve/models.py update RUN --version 3.0         # add, default and remove in one
python serve/models.py ready                            # status 0 when okkhor has a worker that is ready, else 1
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from choosing import ROOT, add_format, chosen_bundle

if TYPE_CHECKING:
    from okkhor.serving.torchserve.management import Management
    from okkhor.serving.torchserve.state import ServeFolder

os.environ.setdefault("OKKHOR_ROOT", str(ROOT))


def main() -> int:
    arguments = _arguments()

    from okkhor.errors import InputError
    from okkhor.serving.torchserve.management import Management, RefusedByServerError
    from okkhor.serving.torchserve.state import ServeFolder

    folder = ServeFolder.find(arguments.dir, ROOT)
    if arguments.do == "ready":
        return 0 if _is_ready(folder, arguments.name) else 1
    management = Management(folder.required())
    try:
        if arguments.do in ("add", "update"):
            _add(folder, management, arguments)
        elif arguments.do == "default":
            management.make_default(arguments.name, arguments.version)
        elif arguments.do == "remove":
            management.remove(arguments.name, arguments.version)
        _list(management)
    except RefusedByServerError as refused:
        more = f"; logs in {folder.logs}" if refused.status >= 500 else ""
        raise InputError(f"{arguments.do}: the server answered {refused.status}: {refused}{more}") from None
    return 0


def _add(folder: ServeFolder, management: Management, arguments: argparse.Namespace) -> None:
    from okkhor.serving.archives.torchserve import write_torchserve

    bundle = chosen_bundle(arguments.model, arguments.format, trust=arguments.trust)
    old = [one["modelVersion"] for one in management.versions_or_none(arguments.name)]
    archive = write_torchserve(bundle, arguments.format, folder.store, name=arguments.name, version=arguments.version)
    management.register(archive, arguments.name, arguments.version)
    if arguments.do == "update":
        management.make_default(arguments.name, arguments.version)
        for version in old:
            management.remove(arguments.name, version)


def _is_ready(folder: ServeFolder, name: str) -> bool:
    """Whether /predictions/<name> has a worker: /ping says Healthy without one."""
    from okkhor.errors import InputError
    from okkhor.serving.torchserve.management import Management, RefusedByServerError, ready_workers

    try:
        management = Management(folder.required())
        described = management.version(name, management.default(name))
    except (InputError, RefusedByServerError) as error:
        print(f"{name} is not ready: {error}")
        return False
    workers = ready_workers(described) if described else 0
    print(f"{name}: {workers} workers ready")
    return workers > 0


def _list(management: Management) -> None:
    from okkhor.serving.torchserve.management import ready_workers

    for name in management.names():
        chosen = management.default(name)
        for one in management.versions(name):
            version = one["modelVersion"]
            told = f"{ready_workers(one)} workers ready, {one['jobQueueStatus']['pendingRequests']} requests waiting"
            print(f"{name} {version}  {told}  {one['modelUrl']}{'  (default)' if version == chosen else ''}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, help="of the server; default: $OKKHOR_SERVE_DIR or .serve")
    todo = parser.add_subparsers(dest="do", required=True)
    todo.add_parser("list", help="what is served")
    ready = todo.add_parser("ready", help="whether requests have a worker that answers them")
    ready.add_argument("name", nargs="?", default="okkhor", help="default: okkhor")
    for name, said in (("add", "serve another version"), ("update", "put a version in the place of all others")):
        one = todo.add_parser(name, help=said)
        one.add_argument("model", type=Path, metavar="RUN", help="a run directory or a bundle")
        one.add_argument("--name", default="okkhor", help="default: okkhor")
        one.add_argument("--version", required=True, help="for example 2.0")
        add_format(one)
    for name, said in (("default", "have a version answer /predictions/NAME"), ("remove", "take a version away")):
        one = todo.add_parser(name, help=said)
        one.add_argument("name")
        one.add_argument("version")
    return parser.parse_args()


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        sys.exit(main())
