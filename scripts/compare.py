"""Compare runs: scores with 95% intervals, differences, classes that gained and lost, learning curves, cost.

python scripts/compare.py runs/light/2026-11-22_20-18-00 runs/cutmix/2026-11-22_20-31-12
python scripts/compare.py runs/default/2026-11-22_20-18-00 --reference runs/default/2026-11-22_20-18-00/0
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OKKHOR_ROOT", str(Path(__file__).resolve().parent.parent))

FEWEST = 100  # rounds: with fewer the ends of a 95% interval are not known at all


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run directories, or folders that hold runs, as a sweep's")
    parser.add_argument("--out", type=Path, default=Path("reports/compare"), help="where the page goes (%(default)s)")
    parser.add_argument("--reference", type=Path, metavar="RUN", help="what the others are compared with (the first)")
    parser.add_argument("--rounds", type=int, default=1000, help="of the bootstrap (%(default)s)")
    arguments = parser.parse_args()

    from rich.console import Console
    from rich.progress import Progress

    from okkhor.data.texts import label_texts
    from okkhor.errors import InputError
    from okkhor.reports.comparison.page import write_comparison
    from okkhor.reports.comparison.reading import read_runs
    from okkhor.reports.comparison.standing import remarks, standings
    from okkhor.reports.comparison.table import comparison_tables
    from okkhor.reports.naming import Naming
    from okkhor.runs import Run

    if arguments.rounds < FEWEST:
        raise InputError(f"--rounds: expected {FEWEST} at least, got {arguments.rounds}")
    if arguments.out.exists() and not arguments.out.is_dir():
        raise InputError(f"--out {arguments.out}: is a file; expected a folder, which is made where it is missing")
    chosen = None if arguments.reference is None else Run.open(arguments.reference).path
    runs, left_out = read_runs([*arguments.runs, *([] if chosen is None else [chosen])])
    for line in left_out:
        print(line, file=sys.stderr)
    reference = next((run for run in runs if chosen in (None, run.run.path)), None)
    if reference is None:
        raise InputError(f"--reference {chosen}: has not finished; expected a run that has, or no --reference")
    console = Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("resampling", total=arguments.rounds * len(runs))
        found = standings(runs, reference, arguments.rounds, advance=lambda done: progress.advance(task, done))
    for table in comparison_tables(found, console.width):
        console.print(table)
    for sentence in remarks(found):
        console.print(sentence, soft_wrap=True, highlight=False, markup=False)
    told = reference.predictions
    naming = Naming(told.about.get("texts") or label_texts(told.heads))
    *_, page = write_comparison(arguments.out, found, naming, arguments.rounds)
    console.print(f"\npictures  {page}", soft_wrap=True, highlight=False, markup=False)


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
