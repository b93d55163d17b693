"""Make a notebook of each page of the workshop, to read, run and change beside the guide.

python scripts/make_notebooks.py                             all pages, into notebooks/
python scripts/make_notebooks.py docs/workshop/2_train.md --out /tmp/notebooks
"""

import argparse
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", type=Path, help="pages of docs/workshop (all)")
    parser.add_argument("--out", type=Path, default=ROOT / "notebooks", help="folder of the notebooks (notebooks)")
    arguments = parser.parse_args()

    from okkhor.errors import InputError

    pages = arguments.pages or sorted((ROOT / "docs" / "workshop").glob("[0-9]*.md"))
    for page in pages:
        if not page.is_file():
            raise InputError(f"{page}: no such page; expected one of docs/workshop")
    try:
        import nbformat

        from okkhor.guide.notebook import page_notebook
    except ImportError as error:
        raise InputError(f"notebooks need jupytext ({error}); pip install -e '.[docs]'") from error
    from okkhor.atomic import write_atomically

    arguments.out.mkdir(parents=True, exist_ok=True)
    for page in pages:
        path = arguments.out / f"{page.stem}.ipynb"
        write_atomically(path, nbformat.writes(page_notebook(page, arguments.out)) + "\n")
        print(path)


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
