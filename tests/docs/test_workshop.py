"""The workshop's pages, run as notebooks: every command, in order, and what one should see after it."""

import re
from pathlib import Path

import nbformat
import pytest

from docs.blocks import RUN, Project, missing_lines, read_blocks

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted((ROOT / "docs" / "workshop").glob("*.md"))
TO_READ = ("text", "yaml", "json", "csv", "html")
HANGS = 1200  # seconds; no cell takes as long, on whatever machine
SERVERS = re.compile(r"make (serve|demo)|serve/(start|demo|ray_app)\.py")


def commands(page: Path) -> list:
    return [block for block in read_blocks(page.read_text(encoding="utf-8")) if block.runs]


def as_parameter(page: Path):
    serves = any(SERVERS.search(block.text) for block in commands(page))  # they take ports
    return pytest.param(page, id=page.stem, marks=[pytest.mark.slow, *([pytest.mark.serial] if serves else [])])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_block_is_run_or_says_why_not_or_is_there_to_read(page):
    for block in read_blocks(page.read_text(encoding="utf-8")):
        where = f"{page.name}:{block.line}"
        assert block.language in (*RUN, *TO_READ), f"{where}: a block in {block.language or 'no language'}"
        assert block.reason != "", f"{where}: no reason is given"
        assert block.language in RUN or block.reason is None, f"{where}: would not be run anyway"


@pytest.mark.parametrize("page", [as_parameter(page) for page in PAGES if commands(page)])
def test_the_page_runs_as_a_notebook(page, project: Project, tmp_path, monkeypatch):
    from nbclient import NotebookClient

    from okkhor.guide.notebook import page_notebook

    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    notebook = page_notebook(page, project.root / "notebooks")
    client = NotebookClient(
        notebook, kernel_name="python3", timeout=HANGS, resources={"metadata": {"path": str(project.root)}}
    )
    client.execute(env=project.environment)
    _, *cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for block, cell in zip(commands(page), cells, strict=True):
        output = seen(cell)
        missing = missing_lines(block.expected, output)
        assert not missing, f"{page.name}:{block.line}: not seen: {missing}, but:\n{output}"


def seen(cell: nbformat.NotebookNode) -> str:
    return "".join(out.get("text", "") or out.get("data", {}).get("text/plain", "") for out in cell.outputs)
