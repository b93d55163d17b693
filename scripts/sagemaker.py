"""Training jobs of SageMaker that were left running: launcher.wait=false, or Ctrl-C and "leave".

python scripts/sagemaker.py status runs/default/2026-11-22_20-18-00     a run, or a sweep's folder
python scripts/sagemaker.py collect runs/default/2026-11-22_20-18-00    bring back what the jobs wrote
python scripts/sagemaker.py logs runs/default/2026-11-22_20-18-00
python scripts/sagemaker.py stop runs/default/2026-11-22_20-18-00
"""

import argparse
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from okkhor.launching.sagemaker.later import Found

if __name__ == "sagemaker":
    # a script of this folder has imported Amazon's package of the same name, and Python found this file first
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != here]
    del sys.modules["sagemaker"]
    importlib.import_module("sagemaker")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["status", "collect", "logs", "stop"])
    parser.add_argument("folder", help="a run directory, or the folder of a sweep")
    arguments = parser.parse_args()

    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        run(arguments.what, arguments.folder)


def run(what: str, folder: str) -> None:
    from rich.console import Console

    from okkhor.launching.sagemaker import later

    console = Console(highlight=False, soft_wrap=True, markup=False)
    runs = later.runs_in(folder)
    if what == "status":
        console.print(table(list(later.find_jobs(runs))))
        return
    for found in later.find_jobs(runs):
        if what == "logs":
            for line in later.log_lines(found):
                print(line)
            continue
        said = later.collect(found) if what == "collect" else later.stop(found)
        console.print(f"{found.run.path}  {said}")


def table(found: "list[Found]") -> "Table":
    """A row a run: its job, how it stands, what it has computed, what is billed."""
    from rich.table import Table
    from rich.text import Text

    from okkhor.reports.reading import read_duration

    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("run", "job", "", "at SageMaker", "machines", "billed"):
        made.add_column(name, overflow="fold")
    for one in found:
        resources = one.job.answer["ResourceConfig"]
        machines = f"{resources['InstanceCount']} × {resources['InstanceType']}"
        billed = "" if one.billed is None else read_duration(one.billed)
        cells = [str(one.run.path), one.job.record.name, str(one.state.status), one.state.secondary, machines, billed]
        made.add_row(*map(Text, cells))
    return made


if __name__ == "__main__":
    main()
