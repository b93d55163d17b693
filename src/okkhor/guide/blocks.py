"""The blocks of a Markdown page: commands to run, what one should see after them, files.

A fenced `sh` or `python` block is run, unless the line before it is a comment, `<!-- not run: why not -->`. A `text`
block after one that is run is what one should see. All other blocks are to read.
"""

import re
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

RUN = ("sh", "python")  # languages that are run

_NOT_RUN = re.compile(r"<!--\s*not run:(?P<reason>.*?)-->", re.DOTALL)
_FILE = re.compile(r"(?:#|//|<!--)\s*(?P<path>[\w.-]+(?:/[\w.-]+)+|[\w-]+\.[a-z]+)\s*(?:-->)?\s*")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    language: as the fence names it, "" for none. line: of the opening fence, from 1. lines: how many, fences included.
    reason: why it is not run, None where nothing says so. expected: the `text` block after it, "" for none.
    """

    language: str
    text: str
    line: int
    lines: int
    reason: str | None = None
    expected: str = ""

    @property
    def runs(self) -> bool:
        return self.language in RUN and self.reason is None

    @property
    def file(self) -> str | None:
        """The path that a comment in the first line names, as `# configs/aug/mine.yaml`; None without one."""
        first = self.text.split("\n", 1)[0]
        return found["path"] if (found := _FILE.fullmatch(first)) else None


def read_blocks(markdown: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    tokens = MarkdownIt("commonmark").parse(markdown)
    fences = [(token, _reason(tokens[i - 1]) if i else None) for i, token in enumerate(tokens) if token.type == "fence"]
    return [
        Block(
            language=_language(token),
            text=token.content,
            line=token.map[0] + 1,
            lines=token.map[1] - token.map[0],
            reason=reason,
            expected=_expected(token, fences[i + 1][0] if i + 1 < len(fences) else None),
        )
        for i, (token, reason) in enumerate(fences)
    ]


def _language(fence: Token) -> str:
    return fence.info.split()[0] if fence.info.strip() else ""


def _reason(before: Token) -> str | None:
    if before.type != "html_block" or not (found := _NOT_RUN.search(before.content)):
        return None
    return " ".join(found["reason"].split())


def _expected(fence: Token, following: Token | None) -> str:
    if following is None or _language(fence) not in RUN or _language(following) != "text":
        return ""
    return following.content
