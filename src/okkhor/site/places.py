"""Where a file of the repository stands in the site, and where a link of one page leads from another."""

import posixpath
from pathlib import Path

DOCS = "docs/"
SOURCES = "source/"
# Pages that stand at the repository's root, where Git hosts look for them; those that are absent are left out
AT_THE_ROOT = {
    "README.md": "index.md",
    "README.ko.md": "ko.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "conduct.md",
    "SECURITY.md": "security.md",
}


def place(path: str) -> str:
    """The site's file for a file or folder of the repository; what is no page gets one that shows it.

    >>> place("README.md"), place("docs/images/demo.png"), place("src/okkhor/runs.py")
    ('index.md', 'images/demo.png', 'source/src/okkhor/runs.py.md')
    """
    if path in AT_THE_ROOT:
        return AT_THE_ROOT[path]
    if path.startswith(DOCS):
        return path.removeprefix(DOCS)
    return f"{SOURCES}{path}.md"


def origin(place: str) -> str:
    """The repository's file for a page of the site: `place` backwards."""
    for path, of_the_site in AT_THE_ROOT.items():
        if place == of_the_site:
            return path
    if place.startswith(SOURCES):
        return place.removeprefix(SOURCES).removesuffix(".md")
    return DOCS + place


def linked(page: str, target: str, root: Path) -> str | None:
    """The file or folder of the repository that a link means, None where it leads out of it or to nothing.

    page: the file with the link, from the root; target: the link as written, #anchor and all.
    """
    path = target.partition("#")[0]
    if not path or path.startswith("/"):
        return page if not path else None
    found = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
    return found if not found.startswith("..") and (root / found).exists() else None


def relinked(page: str, target: str, root: Path) -> str:
    """A link of a repository's page as it is written in the site's page; as it is where it leads to no file."""
    path, hash_, anchor = target.partition("#")
    found = linked(page, target, root)
    if found is None or not path:
        return target
    inside = posixpath.relpath(shown_at(found, root), posixpath.dirname(place(page)) or ".")
    return f"{inside}{hash_}{anchor}"


def shown_at(path: str, root: Path) -> str:
    """`place` of a file or folder that is there: a folder of pages is its README, any other a list of its files."""
    if not (root / path).is_dir():
        return place(path)
    readme = f"{path}/README.md"
    return place(readme) if readme.startswith(DOCS) and (root / readme).is_file() else f"{SOURCES}{path}.md"
