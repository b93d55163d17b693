"""Fetch what the page that reads drawings in the browser runs on, into .servers/web; `make setup-docs` does this.

python scripts/setup_docs.py
"""

import argparse
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("OKKHOR_ROOT", str(ROOT))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / ".servers" / "web", help="default: .servers/web")
    out = parser.parse_args().out

    from rich.console import Console

    from okkhor.serving.web_runtime import PACKAGE, VERSION, fetch_runtime, runtime_files

    console = Console(highlight=False)
    with console.status(f"{PACKAGE} {VERSION} …"):
        fetch_runtime(out)
    size = sum(path.stat().st_size for path in runtime_files(out))
    console.print(f"{PACKAGE} {VERSION}, {size / 1e6:.1f} MB: {out}", soft_wrap=True)


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
