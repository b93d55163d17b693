"""What a Markdown page links to and can be linked at, as a Git host reads it. Code is not looked at."""

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

_FENCE = re.compile(r"^( *)(`{3,}(?!`)|~{3,}(?!~))[^\n]*\n.*?(?:^ *\2[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?<!`)(`+)(?!`)(?:(?!\n\s*\n).)+?(?<!`)\1(?!`)", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK = re.compile(r"\]\(\s*<?(?P<inline>[^()\s<>]+(?:\([^()\s]*\)[^()\s<>]*)*)>?(?:\s+\"[^\"]*\")?\s*\)")
_REFERENCE = re.compile(r"^ {0,3}\[[^\]\n]+\]:\s*<?(?P<reference>[^\s>]+)>?", re.MULTILINE)
_ATTRIBUTE = re.compile(r"<[^<>]*?\b(?:href|src|srcset)=\"(?P<attribute>[^\"\s]+)\"[^<>]*>")
_AUTOLINK = re.compile(r"(?<![\w\"'(<\[=/])<?(?P<automatic>https?://[^\s<>()\[\]\"'`]*[^\s<>()\[\]\"'`.,;:!?*])>?")
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(?P<text>.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
_ANCHOR = re.compile(r"<[^<>]*?\b(?:id|name)=\"(?P<id>[^\"]+)\"[^<>]*>")


@dataclass(frozen=True)
class Link:
    """One link or picture: its target as written, the line that it stands in (from 1), and where in the text."""

    target: str
    line: int
    start: int
    end: int

    @property
    def external(self) -> bool:
        return re.match(r"[a-z][a-z0-9+.-]*:", self.target) is not None or self.target.startswith("//")


def without_code(text: str) -> str:
    """The text with code and comments blanked out, every other character at its place."""
    return _blanked(text, _FENCE, _COMMENT, _CODE)


def _blanked(text: str, *patterns: re.Pattern) -> str:
    for pattern in patterns:
        text = pattern.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)
    return text


def links(text: str) -> list[Link]:
    """All links and pictures, in their order: inline, by reference, in HTML, and bare addresses."""
    plain = without_code(text)
    found: dict[int, Link] = {}
    for pattern in (_LINK, _REFERENCE, _ATTRIBUTE, _AUTOLINK):
        (group,) = pattern.groupindex
        for match in pattern.finditer(plain):
            start, end = match.span(group)
            found.setdefault(start, Link(match[group], plain.count("\n", 0, start) + 1, start, end))
    return [found[start] for start in sorted(found)]


def with_targets(text: str, new: Callable[[str], str]) -> str:
    """The text with each target replaced by what `new` makes of it."""
    for link in reversed(links(text)):
        text = text[: link.start] + new(link.target) + text[link.end :]
    return text


def anchors(text: str) -> set[str]:
    """What may stand after # in a link to this page: its headings' slugs, and ids written in HTML."""
    plain, seen = without_code(text), Counter()
    found = {match["id"] for match in _ANCHOR.finditer(plain)}
    for match in _HEADING.finditer(_blanked(text, _FENCE, _COMMENT)):  # code in a heading counts
        slug = slugify(match["text"])
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def slugify(heading: str, separator: str = "-") -> str:
    """The anchor of a heading as Git hosts make it: lower case, letters and digits of any script, - for spaces."""
    heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", html.unescape(heading))
    heading = re.sub(r"<[^<>]*>", "", heading)
    kept = (c for c in heading.strip().lower() if c in " -_" or unicodedata.category(c)[0] in "LNM")
    return "".join(kept).replace(" ", separator)
