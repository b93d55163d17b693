"""Measure what each augmentation, loss, trick and decision rule is worth on real images, and write the page of it.

python scripts/benchmark_recipes.py data.dir=/data/bengaliai-cv19            all rows, an hour on two cores
python scripts/benchmark_recipes.py data.dir=DIR --only baseline,cutmix      some rows or groups
python scripts/benchmark_recipes.py --page docs/benchmarks.md                write the page of what has been measured

Stopped or killed, the same command goes on where it was. Rows: src/okkhor/benchmarks/recipes/rows.yaml
"""

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("OKKHOR_ROOT", str(ROOT))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("options", nargs="*", metavar="key=value", help="of every row, as data.dir=DIR")
    parser.add_argument("--only", default="", metavar="NAMES", help="rows or groups, with commas between")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "bench-recipes", help="folder of the runs")
    parser.add_argument("--page", type=Path, metavar="FILE", help="Markdown to write, of all that is measured")
    parser.add_argument("--list", action="store_true", help="print the rows and their words, and train nothing")
    arguments = parser.parse_intermixed_args()

    from okkhor.atomic import write_atomically
    from okkhor.benchmarks.recipes.page import page
    from okkhor.benchmarks.recipes.plan import read_plan
    from okkhor.benchmarks.recipes.running import Bench
    from okkhor.errors import InputError, JobFailedError

    plan = read_plan()
    rows = plan.chosen([name for name in arguments.only.split(",") if name])
    if arguments.list:
        for row in rows:
            print(f"{row.group:14}{row.name:22}{' '.join(row.words + row.evaluate)}")
        return
    if not arguments.options and arguments.page is None:
        raise InputError("data.dir: expected the folder with real images, as data.dir=/data/bengaliai-cv19")
    arguments.out.mkdir(parents=True, exist_ok=True)
    bench = Bench(ROOT, arguments.out.resolve(), arguments.options)
    failed = bench.run(plan, rows) if arguments.options else {}
    if arguments.page is not None:
        write_atomically(arguments.page, page(plan, bench.results(), "make bench-recipes"))
        print(arguments.page)
    for name, reason in failed.items():
        print(f"{name}: {reason}", file=sys.stderr)
    if failed:
        raise JobFailedError(f"{len(failed)} of {len(rows)} rows failed; the same command tries them again")


if __name__ == "__main__":
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from okkhor.launching.exits import one_line_errors

    with one_line_errors((HydraException, OmegaConfBaseException)):
        main()
