"""A page as a notebook: what runs is a cell, what does not stays text, links open from the notebook's folder."""

import pytest

from okkhor.guide.notebook import SHELL, page_notebook

PAGE = """\
# A page

Words with [a link](../serving.md#formats), [the next page](2_train.md), [elsewhere](https://example.org/a.md),
[here](#a-page) and ![a picture](../images/x.png).

```sh
echo one
echo two
```

```text
one
```

<!-- not run: needs a GPU -->
```sh
nvidia-smi
```


Two empty lines before.

<!-- not run: takes an hour -->
```python
1 / 0
```

```python
2 + 2
```

```yaml
# configs/aug/mine.yaml
image: []
```
"""


@pytest.fixture
def notebook(tmp_path):
    page = tmp_path / "docs" / "workshop" / "1_explore.md"
    page.parent.mkdir(parents=True)
    page.write_text(PAGE, encoding="utf-8")
    return page_notebook(page, tmp_path / "notebooks")


def test_code_cells_are_the_blocks_that_run(notebook):
    setup, *cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert "chdir" in setup
    assert cells == [f"{SHELL}\necho one\necho two", "2 + 2"]


def test_everything_else_is_text_in_order(notebook):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    parts = [
        "# A page", "```text\none", "*Not run here: needs a GPU.*", "```sh\nnvidia-smi", "Two empty lines",
        "takes an hour", "```python\n1 / 0", "```yaml\n# configs/aug/mine.yaml",
    ]  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "region" not in text


def test_links_open_from_the_notebooks_folder(notebook):
    text = "\n".join(cell.source for cell in notebook.cells)
    for link in (
        "](../docs/serving.md#formats)", "](2_train.ipynb)", "](https://example.org/a.md)", "](#a-page)",
        "](../docs/images/x.png)",
    ):  # fmt: skip
        assert link in text


def test_the_same_page_gives_the_same_notebook(notebook, tmp_path):
    assert page_notebook(tmp_path / "docs" / "workshop" / "1_explore.md", tmp_path / "notebooks") == notebook
