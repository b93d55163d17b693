"""Pages for files that the guide links to and that are no pages: code, settings, folders."""

import re
from pathlib import Path

from okkhor.site.markdown import links
from okkhor.site.places import SOURCES, linked, shown_at

_LANGUAGES = {
    ".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".sh": "bash", ".js": "javascript",
    ".css": "css", ".html": "html", ".json": "json", ".Dockerfile": "docker", ".cff": "yaml",
}  # fmt: skip
_HIDDEN = {"__pycache__"}


def linked_sources(root: Path, pages: list[str]) -> list[str]:
    """What the pages link to outside of themselves: files and folders, from the root, sorted."""
    found: set[str] = set()
    for page in pages:
        for link in links((root / page).read_text(encoding="utf-8")):
            path = None if link.external else linked(page, link.target, root)
            if path and shown_at(path, root).startswith(SOURCES):
                found.add(path)
    return sorted(found)


def source_page(root: Path, path: str) -> str:
    """Markdown that shows a text file, highlighted, or lists a folder. Found by links, not by the search."""
    head = f"---\nsearch:\n  exclude: true\ntitle: {path}\n---\n# `{path}`\n\n"
    if (root / path).is_dir():
        names = [f"{item.name}/" if item.is_dir() else item.name for item in sorted((root / path).iterdir())]
        shown = [name for name in names if name.rstrip("/") not in _HIDDEN and not name.startswith(".")]
        return head + "\n".join(f"- `{name}`" for name in shown) + "\n"
    text = (root / path).read_text(encoding="utf-8")
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
    return f"{head}{fence}{_LANGUAGES.get(Path(path).suffix, 'text')}\n{text.rstrip()}\n{fence}\n"
