"""Build the guide as a site, with the page that reads a drawing in the browser: make docs.

python scripts/build_docs.py                                          into site/
python scripts/build_docs.py --run runs/default/2026-11-22_20-18-00   with that run's network on the page
python scripts/build_docs.py --no-drawing                             the pages alone
"""

import argparse
import os
import tempfile
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

    with tempfile.TemporaryDirectory() as folder:
        drawing = None if arguments.no_drawing else drawing_page(arguments.run, Path(folder) / "draw", say)
        with console.status("building the pages"):
            build_site(ROOT, arguments.out.absolute(), drawing)
    say(f"{arguments.out}: open index.html, or serve it: python -m http.server --directory {arguments.out} 8000")


def drawing_page(path: Path | None, out: Path, say: Callable[[str], None]) -> Path | None:
    """Write the page that reads drawings into `out`, with a run's network, exported if need be.

    path: the run or bundle; None: the newest trained run, and where that cannot be shown, or there is none, the page
    is left out: then one line says why, and None is returned. Raises InputError for a path that cannot be shown.
    """
    from okkhor.errors import InputError

    try:
        return _written(path, out, say)
    except InputError as error:
        if path is not None:
            raise
        say(f"the site is left without the page that reads drawings: {error}")
        return None


def _written(path: Path | None, out: Path, say: Callable[[str], None]) -> Path:
    from okkhor.errors import InputError
    from okkhor.runs import Run
    from okkhor.serving.drawing import write_drawing_page
    from okkhor.training.bundles import bundle_of

    if path is None:
        try:
            path = Run.newest(os.environ.get("OKKHOR_RUNS") or ROOT / "runs", trained=True).path
        except InputError as error:
            raise InputError("there is no trained run; make train, then make docs again") from error
    if not RUNTIME.is_dir():
        raise InputError(f"{RUNTIME} is missing, which that page runs on; make setup-docs")
    write_drawing_page(bundle_of(path, "onnx", say).path, out, runtime=RUNTIME)
    return out


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
