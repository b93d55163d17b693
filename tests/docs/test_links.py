"""Every link, anchor and picture in the repository's Markdown leads somewhere. Addresses are read, not asked."""

import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from okkhor.site.markdown import anchors, links
from okkhor.site.places import linked

ROOT = Path(__file__).resolve().parents[2]
LOCAL = {"127.0.0.1", "localhost", "host0"}


def markdown() -> list[str]:
    """Markdown files that git has or would take; those in src/ are for a project that is made of this one."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return sorted(
        path
        for path in set(listed.stdout.split("\n"))
        if path.strip() and not path.startswith("src/") and (ROOT / path).is_file()
    )


def in_git(path: str) -> bool:
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", path]
    return bool(subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def broken(page: str, root: Path) -> list[str]:
    """What is wrong with the links of a page, line by line."""
    wrong = []
    for link in links((root / page).read_text(encoding="utf-8")):
        where = f"{page}:{link.line} {link.target}"
        if link.external:
            parts = urlsplit(link.target)
            https = parts.scheme == "https" and "." in parts.netloc
            if not (https or parts.scheme == "mailto" or parts.hostname in LOCAL):
                wrong.append(f"{where}: expected an https address")
            continue
        found = linked(page, unquote(link.target), root)
        anchor = unquote(link.target.partition("#")[2])
        if found is None:
            wrong.append(f"{where}: there is no such file")
        elif anchor and found.endswith(".md") and anchor not in anchors((root / found).read_text(encoding="utf-8")):
            wrong.append(f"{where}: there is no such heading")
    return wrong


@pytest.mark.parametrize("page", markdown())
def test_links_of_a_page_lead_somewhere(page):
    assert broken(page, ROOT) == []


def test_what_is_linked_is_in_git():
    """A picture that only this machine has would be missing everywhere else."""
    targets = {
        linked(page, unquote(link.target), ROOT)
        for page in markdown()
        for link in links((ROOT / page).read_text(encoding="utf-8"))
        if not link.external
    }
    assert [path for path in sorted(filter(None, targets)) if not in_git(path)] == []


def test_pictures_are_shown_somewhere():
    """None is left behind in docs/images; the site's logo is named in mkdocs.yml."""
    shown = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    shown += "".join((ROOT / page).read_text(encoding="utf-8") for page in markdown())
    assert [path.name for path in sorted((ROOT / "docs" / "images").iterdir()) if path.name not in shown] == []


def test_broken_links_would_be_found(tmp_path):
    (tmp_path / "there.md").write_text("# Two words\n\n## Two words\n\n<a id='x'></a>")
    (tmp_path / "page.md").write_text(
        "[a](there.md#two-words) [b](there.md#two-words-1) [c](gone.md)\n[d](there.md#three)\n\n"
        "```sh\n[e](gone.md)\n```\n`[f](gone.md)` ![g](<gone.png> \"g\")\n\n[h]: http://example.org\n"
        'see http://plain.example.org, <img src="gone.svg"> and [the picture ![i](gone.jpg)](there.md)\n'
    )  # fmt: skip
    found = [line.split(" ")[1].rstrip(":") for line in broken("page.md", tmp_path)]
    assert found == [
        "gone.md", "there.md#three", "gone.png", "http://example.org", "http://plain.example.org", "gone.svg",
        "gone.jpg",
    ]  # fmt: skip
