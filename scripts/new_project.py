"""Begin a project of your own: a copy of this one under another name, with a history of its own.

python scripts/new_project.py digits ../digits --without-bengali
python scripts/new_project.py plankton ../plankton --without-bengali --title "Plankton of the North Sea"
python scripts/new_project.py bangla ../bangla                     # with the reference task and all that belongs to it
"""

import argparse
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the Python package, lowercase letters and digits: digits")
    parser.add_argument("dir", type=Path, help="the folder to make, absent or empty")
    parser.add_argument(
        "--without-bengali",
        action="store_true",
        help="leave the reference task out: its data, fonts, recipes, results and pages",
    )
    parser.add_argument("--title", help="what people call it (the name with a capital)")
    arguments = parser.parse_args()

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from okkhor.templating.copying import make_project, uncommitted
    from okkhor.templating.naming import checked_folder, checked_name

    name = checked_name(arguments.name, arguments.title, ROOT)
    folder = checked_folder(arguments.dir, ROOT)
    started = time.monotonic()
    console = Console()
    columns = TextColumn("{task.description}"), BarColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("copying", total=None)
        files = make_project(
            ROOT,
            name,
            folder,
            reference_task=not arguments.without_bengali,
            advance=lambda what, done, of: progress.update(task, description=what, completed=done, total=of),
        )
    print(f"{folder}: {files:,} files of {name.title}, committed, in {time.monotonic() - started:.0f} seconds")
    if changed := uncommitted(ROOT):
        print(f"made of the last commit; changes of {changed} files since then are not in it")
    print(f"next: cd {folder} && make setup, then as its README.md says")


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
