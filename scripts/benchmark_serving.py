"""Measure servers of one network against the same network in process, and the formats that it can be served in.

python scripts/benchmark_serving.py                               everything; make bench-serve
python scripts/benchmark_serving.py --only floor,torchserve --rounds 1
python scripts/benchmark_serving.py --price-per-hour 0.10         with the cost of a million images
python scripts/benchmark_serving.py --from reports/bench-serve.json --markdown     shows it again, measures nothing
python scripts/benchmark_serving.py data=bengali model=small      another network: options of train.py

In turn, one at a time, several rounds: the network in process, a process alone and one for each core; TorchServe with
its own defaults; TorchServe as `make serve` starts it; Multi Model Server; Ray Serve; then formats in process. What is
not installed is left out. The weights are random, which does not change the time that they take.
"""

import argparse
import json
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("OKKHOR_ROOT", str(ROOT))


def main() -> None:
    from okkhor.benchmarks.serving.suite import PARTS, Plan
    from okkhor.errors import InputError

    arguments = _arguments(PARTS, Plan())

    from okkhor.benchmarks.serving.report import read

    if arguments.out.is_dir():
        raise InputError(f"--out {arguments.out}: is a folder; expected a file to write, as reports/bench-serve.json")
    if arguments.read:
        found = read(arguments.read)
        found["settings"]["price_per_hour"] = arguments.price_per_hour or found["settings"]["price_per_hour"]
        failed: list[str] = []
    else:
        found, failed = _measured(arguments)
    _show(found, markdown=arguments.markdown)
    if not arguments.read:
        print(f"\nall rounds   {arguments.out}", file=sys.stderr if arguments.markdown else sys.stdout)
    if failed:
        sys.exit(1)


def _measured(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from okkhor.atomic import write_atomically
    from okkhor.benchmarks.report import load
    from okkhor.benchmarks.serving.network import DEFAULT
    from okkhor.benchmarks.serving.report import as_json
    from okkhor.benchmarks.serving.suite import Plan, run

    signal.signal(signal.SIGTERM, _interrupt)
    overrides = arguments.overrides or DEFAULT
    plan = Plan(arguments.only, arguments.clients, arguments.rounds, arguments.seconds, overrides)
    before = load()
    try:
        measured = run(ROOT, plan)
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        sys.exit(130)
    found = as_json(measured, plan, before, arguments.price_per_hour)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(arguments.out, json.dumps(found, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    return found, measured.failed


def _show(found: dict[str, Any], *, markdown: bool) -> None:
    from rich.console import Console

    from okkhor.benchmarks.serving.report import formats, notes, servers, targets

    grids = [grid for grid in (servers(found), targets(found), formats(found)) if grid]
    if markdown:
        print("\n\n".join(grid.markdown() for grid in grids) + "\n")
        print("\n".join(f"- {line}" for line in notes(found)))
        return
    console = Console()
    for grid in grids:
        console.print(grid.for_terminal())
        console.print()
    for line in notes(found):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _arguments(parts: tuple[str, ...], default: Any) -> argparse.Namespace:
    def chosen(text: str) -> list[str]:
        words = text.split(",")
        if unknown := [word for word in words if word not in parts]:
            raise argparse.ArgumentTypeError(f"expected some of {','.join(parts)}, got {unknown[0]!r}")
        return [part for part in parts if part in words]

    def whole(text: str) -> int:
        if not text.isdecimal() or int(text) < 1:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
        return int(text)

    def above_zero(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
        return value

    def several(text: str) -> list[int]:
        return sorted({whole(word) for word in text.split(",")})

    parser = _OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)

    def option(name: str, type: Callable[[str], Any], help: str, metavar: str, **more: Any) -> None:
        parser.add_argument(name, type=type, help=help, metavar=metavar, **more)

    out = ROOT / "reports" / "bench-serve.json"
    option("overrides", str, "another network; default: ResNet-18 at 137×236", "OPTION", nargs="*")
    option("--only", chosen, ",".join(parts), "PARTS", default=list(parts))
    option("--clients", several, "how many ask at once (default 1,16)", "N,…", default=list(default.clients))
    option("--rounds", whole, f"of everything (default {default.rounds})", "N", default=default.rounds)
    option("--seconds", above_zero, f"of each window (default {default.seconds:g})", "S", default=default.seconds)
    option("--price-per-hour", above_zero, "of this machine, for the cost of a million images", "PRICE")
    option("--out", Path, "JSON to write (default reports/bench-serve.json)", "FILE", default=out)
    option("--from", Path, "show what an earlier run wrote, measure nothing", "FILE", dest="read")
    parser.add_argument("--markdown", action="store_true", help="print the tables in Markdown")
    return parser.parse_intermixed_args()


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; --help shows the options\n")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
