"""Measure the project against what it replaces, side by side: input pipeline, training step, Parquet ingest, start-up.

python scripts/benchmark.py                              everything, reports/bench.json
python scripts/benchmark.py --only step,startup          some of it
python scripts/benchmark.py --rows 2000 --rounds 3       sooner and less exact
python scripts/benchmark.py --only scaling,memory        several processes, make bench-scaling

Each side is measured in turn, several rounds; the table shows the medians, their ratio and its range, and the goal.
Files are written to the system's temporary folder (TMPDIR= chooses another), about 1.5 GB for 10,000 images.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("OKKHOR_ROOT", str(ROOT))


def main() -> None:
    from okkhor.benchmarks.suite import ALL_PARTS, PARTS

    arguments = _arguments(ALL_PARTS, PARTS)

    from rich.console import Console

    from okkhor.atomic import write_atomically
    from okkhor.benchmarks.report import as_json, load, table
    from okkhor.benchmarks.suite import run
    from okkhor.errors import InputError, StoppedError

    if arguments.out.is_dir():
        raise InputError(f"--out {arguments.out}: is a folder; expected a file to write, as reports/bench.json")
    before = load()
    try:
        figures, setting = run(ROOT, arguments.only, rows=arguments.rows, rounds=arguments.rounds)
    except (KeyboardInterrupt, StoppedError):
        print("stopped; nothing was written", file=sys.stderr)
        sys.exit(130)
    found = json.dumps(as_json(figures, setting, before), ensure_ascii=False, indent=1, allow_nan=False)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(arguments.out, found + "\n")
    Console().print(table(figures))
    Console().print(f"\nall rounds   {arguments.out}", soft_wrap=True, highlight=False)


def _arguments(parts: tuple[str, ...], default: tuple[str, ...]) -> argparse.Namespace:
    def chosen(text: str) -> list[str]:
        words = text.split(",")
        if unknown := [word for word in words if word not in parts]:
            raise argparse.ArgumentTypeError(f"expected some of {','.join(parts)}, got {unknown[0]!r}")
        return [part for part in parts if part in words]

    def at_least(least: int) -> "type[int]":
        def integer(text: str) -> int:
            if not text.isdecimal() or int(text) < least:
                raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, got {text!r}")
            return int(text)

        return integer

    parser = _OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, default=ROOT / "reports" / "bench.json", metavar="FILE", help="JSON to write"
    )
    parser.add_argument("--only", type=chosen, default=list(default), metavar="PARTS", help=",".join(parts))
    parser.add_argument("--rows", type=at_least(64), default=10_000, metavar="N", help="images (default 10000)")
    parser.add_argument("--rounds", type=at_least(1), default=5, metavar="N", help="of each side (default 5)")
    return parser.parse_args()


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; --help shows the options\n")


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
