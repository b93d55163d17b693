"""Links of a page in the repository, as they stand in the site."""

import pytest

from okkhor.site.places import AT_THE_ROOT, linked, origin, place, relinked, shown_at
from okkhor.site.rewriting import rewritten
from okkhor.site.sources import linked_sources, source_page


@pytest.fixture
def root(tmp_path):
    for path in ("README.md", "docs/a.md", "docs/images/p.png", "docs/workshop/README.md", "docs/workshop/1.md",
                 "src/tool.py", "CONTRIBUTING.md"):  # fmt: skip
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    return tmp_path


@pytest.mark.parametrize("path", [*AT_THE_ROOT, "docs/a.md", "docs/workshop/1.md", "src/tool.py"])
def test_origin_is_place_backwards(path):
    assert origin(place(path)) == path


@pytest.mark.parametrize(
    ("page", "target", "expected"),
    [
        ("README.md", "docs/a.md#b", "a.md#b"),
        ("README.md", "docs/images/p.png", "images/p.png"),
        ("README.md", "docs/workshop/", "workshop/README.md"),
        ("README.md", "#here", "#here"),
        ("docs/workshop/1.md", "../../README.md#x", "../index.md#x"),
        ("docs/workshop/1.md", "../a.md", "../a.md"),
        ("docs/workshop/1.md", "../../src/tool.py", "../source/src/tool.py.md"),
        ("docs/a.md", "../CONTRIBUTING.md", "contributing.md"),
        ("docs/a.md", "images", "source/docs/images.md"),
        ("docs/a.md", "gone.md", "gone.md"),
        ("docs/a.md", "https://example.org/docs/a.md", "https://example.org/docs/a.md"),
    ],
)
def test_links_lead_to_the_sites_pages(root, page, target, expected):
    assert relinked(page, target, root) == expected


def test_links_out_of_the_repository_are_none(root):
    assert linked("docs/a.md", "../../etc", root) is None
    assert linked("docs/a.md", "/etc", root) is None


def test_linked_code_and_folders_get_pages(root):
    (root / "README.md").write_text("[code](src/tool.py) [folder](src) [page](docs/a.md) [picture](docs/images/p.png)")
    (root / "src" / "tool.py").write_text("print()")
    assert linked_sources(root, ["README.md"]) == ["src", "src/tool.py"]
    assert "```python\nprint()\n```" in source_page(root, "src/tool.py")
    assert "- `tool.py`" in source_page(root, shown_at("src", root).removeprefix("source/").removesuffix(".md"))


def test_lists_are_set_off_and_reasons_shown(root):
    text = "Two things:\n- one\n  more\n- two\n\n```sh\nls\n- no\n```\n<!-- not run: needs AWS -->\n```sh\nx\n```\n"
    assert rewritten("docs/a.md", text, root) == (
        "Two things:\n\n- one\n  more\n- two\n\n```sh\nls\n- no\n```\n"
        '<p class="not-run">needs AWS</p>\n\n```sh\nx\n```\n'
    )
