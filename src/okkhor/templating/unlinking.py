"""Pages of a copy without the pages, pictures and headings that stayed behind: links to those become plain text."""

import re
from pathlib import Path

_FENCE = re.compile(r"(^```.*?^```[^\n]*$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?P<picture>!?)\[(?P<label>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^()\s]+)(?:\s+\"[^\"]*\")?\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
PICTURES = "docs/images"


def unlink_pages(root: Path) -> None:
    """Mend every Markdown page below `root`, and remove pictures of docs/images that no page shows any more."""
    pages = sorted(root.rglob("*.md"))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        if (mended := unlinked(text, page, root)) != text:
            page.write_text(mended, encoding="utf-8")
    shown = [page.read_text(encoding="utf-8") for page in (*pages, root / "mkdocs.yml") if page.is_file()]
    for picture in (root / PICTURES).glob("*"):
        if not any(picture.name in text for text in shown):
            picture.unlink()


def unlinked(text: str, page: Path, root: Path) -> str:
    """A page's text in which links that lead nowhere are their labels alone; pictures that are gone are left out."""

    def kept(match: re.Match[str]) -> str:
        if leads_somewhere(match["target"], page, root):
            return match[0]
        return "" if match["picture"] else _LINK.sub(kept, match["label"])

    pieces = _FENCE.split(text)  # every second one is code
    return "".join(piece if number % 2 else _LINK.sub(kept, piece) for number, piece in enumerate(pieces))


def leads_somewhere(target: str, page: Path, root: Path) -> bool:
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        return True
    name, _, anchor = target.partition("#")
    file = (page.parent / name).resolve() if name else page
    if not file.is_relative_to(root.resolve()) or not file.exists():
        return False
    if not anchor or file.suffix != ".md":
        return True
    text = file.read_text(encoding="utf-8")
    return anchor in {_slug(heading) for heading in _HEADING.findall(_FENCE.sub("", text))} or f'id="{anchor}"' in text


def _slug(heading: str) -> str:
    """The anchor of a heading as Git hosts make it."""
    plain = _LINK.sub(lambda match: match["label"], heading).lower()
    return "".join(letter for letter in plain if letter.isalnum() or letter in " -_").replace(" ", "-")
