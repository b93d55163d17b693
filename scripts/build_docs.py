"""Build the guide as a site, with the page that reads a drawing in the browser: make docs.

python scripts/build_docs.py                                          into site/
python scripts/build_docs.py --run runs/default/2026-11-22_20-18-00   with that run's network on the page
python scripts/build_docs.py --no-drawing                             the pages alone
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("OKKHOR_ROOT", str(ROOT))
RUNTIME = ROOT / ".servers" / "web"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "site", help="the site's folder (site/)")
    parser.add_argument("--run", type=Path, help="the run or bundle that reads the drawings (the newest trained run)")
    parser.add_argument("--no-drawing", action="store_true", help="leave out the page that reads them")
    arguments = parser.parse_args()

    from rich.console import Console

    from okkhor.site.building import build_site

    console = Console(highlight=False)

    def say(line: str) -> None:
        console.print(line, soft_wrap=True, markup=False)

    drawing = None if arguments.no_drawing else drawing_page(arguments.run, say)
    with console.status("building the pages"):
        build_site(ROOT, arguments.out.absolute(), drawing)
    say(f"{arguments.out}: open index.html, or serve it: python -m http.server --directory {arguments.out} 8000")


def drawing_page(path: Path | None, say: Callable[[str], None]) -> Callable[[Path], object] | None:
    """What writes the page, with the run's network exported; None, and one line why, where there is none to show."""
    from okkhor.errors import InputError
    from okkhor.runs import Run
    from okkhor.training.bundles import bundle_of

    if path is None:
        try:
            path = Run.newest(os.environ.get("OKKHOR_RUNS") or ROOT / "runs", trained=True).path
        except InputError:
            say("no trained run: the site is without the page that reads drawings; make train, then make docs again")
            return None
    if not RUNTIME.is_dir():
        raise InputError(f"{RUNTIME} is missing, which that page runs on: make setup-docs, or --no-drawing")
    bundle = bundle_of(path, "onnx", say)

    def write(out: Path) -> object:
        from okkhor.serving.drawing import write_drawing_page

        return write_drawing_page(bundle.path, out, runtime=RUNTIME)

    return write


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
