"""What the report calls a class, and a whole image's labels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from okkhor.heads import Head
from okkhor.reports import style


@dataclass(frozen=True)
class Naming:
    """Text of classes and of whole label combinations.

    names: head name -> text of each class; a head that it lacks is called by its class numbers.
    compose: labels of all heads -> text of the whole (a grapheme); ValueError where there is no such text.
    """

    names: Mapping[str, Sequence[str]] | None = None
    compose: Callable[[Sequence[int]], str] | None = None

    def of(self, head: Head, label: int) -> str:
        texts = (self.names or {}).get(head.name, ())
        return str(texts[label]) if label < len(texts) and str(texts[label]).strip() else str(label)

    def short(self, head: Head, label: int, length: int) -> str:
        """The class's text as a picture can show it: shortened, or its number where the report's type lacks a glyph."""
        text = self.of(head, label)
        return style.shorten(text, length) if style.drawable(text) else str(label)

    def whole(self, labels: Sequence[int]) -> str | None:
        """The text of all heads' labels together; the numbers where they make none; None where nothing composes."""
        if self.compose is None:
            return None
        try:
            return self.compose([int(label) for label in labels])
        except ValueError:
            return " · ".join(str(int(label)) for label in labels)
