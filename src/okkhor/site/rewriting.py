"""A page of the repository as a page of the site: its links, and what mkdocs reads otherwise than a Git host."""

import re
from pathlib import Path

from okkhor.site.markdown import with_targets, without_code
from okkhor.site.places import relinked

_ITEM = re.compile(r"^ {0,3}(?:[-*+]|\d{1,9}[.)]) +\S")
_NOT_RUN = re.compile(r"^( *)<!-- not run: (.+?) -->[ \t]*$", re.MULTILINE)


def rewritten(page: str, text: str, root: Path) -> str:
    """The text of `page` (a path from the repository's root) for the site.

    Links lead to the site's pages; a list directly under a paragraph is set off, as Python-Markdown needs it; the
    reason why a block of commands is not run by the tests is shown above it.
    """
    text = with_targets(text, lambda target: relinked(page, target, root))
    text = _set_off_lists(text)
    return _NOT_RUN.sub(lambda found: f'{found[1]}<p class="not-run">{found[2]}</p>\n', text)


def _set_off_lists(text: str) -> str:
    lines, plain = text.split("\n"), without_code(text).split("\n")
    made: list[str] = []
    in_list = False
    for number, (line, bare) in enumerate(zip(lines, plain, strict=True)):
        starts = _ITEM.match(bare) is not None
        before = plain[number - 1] if number else ""
        if starts and not in_list and before.strip() and not before.startswith("#"):
            made.append("")
        if starts:
            in_list = True
        elif bare.strip() and not bare.startswith(" ") and not before.strip():
            in_list = False
        made.append(line)
    return "\n".join(made)
