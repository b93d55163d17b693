"""A page of the workshop as a notebook: its commands in cells that run, its words around them.

The page is first rewritten as jupytext's Markdown, so that a block which is not run stays text and says why, then read
by jupytext. Links and pictures are made to open from the notebook's own folder.
"""

import os
import re
from pathlib import Path

import jupytext
import nbformat

from okkhor.guide.blocks import Block, read_blocks

SHELL = "%%bash -e"  # a cell of the shell; the first command that fails ends it, and with it the notebook
SETUP = """\
# Everything here runs in the project's folder, with its environment first in PATH.
import os
from pathlib import Path

root = next(folder for folder in [Path.cwd(), *Path.cwd().parents] if (folder / "train.py").exists())
os.chdir(root)
os.environ["PATH"] = f"{root / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
os.environ.pop("FORCE_COLOR", None)  # a kernel sets it; cells show plain lines, and no bars that move
"""

_LINK = re.compile(r"(?P<before>\]\(|<img[^>]*? src=\")(?P<target>[^)\s\"]+)")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#|/")


def page_notebook(page: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook of a page, to lie in `folder`. Its code cells: one that sets up, then each block that is run."""
    markdown = page.read_text(encoding="utf-8")
    notebook = jupytext.reads(_as_jupytext(markdown), "md")
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _moved(cell.source, page.parent, folder)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(SETUP.rstrip()))
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # not drawn by chance: the same page gives the same notebook
        cell.metadata.clear()
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    )
    nbformat.validate(notebook)
    return notebook


def _as_jupytext(markdown: str) -> str:
    """The page with each block in the form that jupytext takes for a cell that runs, or for text."""
    lines = markdown.splitlines()
    for block in reversed(read_blocks(markdown)):
        start, stop = block.line - 1, block.line - 1 + block.lines
        lines[start:stop] = _cell(block) if block.runs else _text(block, lines[start:stop])
    return "\n".join(lines) + "\n"


def _cell(block: Block) -> list[str]:
    magic = [SHELL] if block.language == "sh" else []
    return ["```python", *magic, *block.text.rstrip("\n").split("\n"), "```"]


def _text(block: Block, lines: list[str]) -> list[str]:
    reason = [f"*Not run here: {block.reason}.*", ""] if block.reason else []
    return ["<!-- #region -->", *reason, *lines, "<!-- #endregion -->"]


def _moved(markdown: str, source: Path, folder: Path) -> str:
    """Relative links of a page in `source` as they are from `folder`; those to pages beside it lead to notebooks."""

    def move(found: re.Match[str]) -> str:
        target = found["target"]
        if _ELSEWHERE.match(target):
            return found[0]
        path, mark, anchor = target.partition("#")
        if "/" not in path and re.match(r"\d\w*_.*\.md$", path):
            return f"{found['before']}{path.removesuffix('.md')}.ipynb"
        moved = os.path.relpath((source / path).resolve(), folder.resolve())
        return f"{found['before']}{Path(moved).as_posix()}{mark}{anchor}"

    return _LINK.sub(move, markdown)
