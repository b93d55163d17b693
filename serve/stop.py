"""End the server that serve/start.py started, with all its workers: python serve/stop.py"""

import argparse
from pathlib import Path

from choosing import ROOT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, help="of the server; default: $OKKHOR_SERVE_DIR or .serve")
    arguments = parser.parse_args()

    from okkhor.serving.torchserve.process import stop
    from okkhor.serving.torchserve.state import ServeFolder

    print("stopped" if stop(ServeFolder.find(arguments.dir, ROOT)) else "no server was running")


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
