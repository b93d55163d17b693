"""What a part of the page consists of; each file beside this one makes one."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from okkhor.data.layout import Store
from okkhor.data.reading import StoredImages
from okkhor.heads import Head, Heads
from okkhor.labels import NOTHING
from okkhor.reports.naming import Naming

CIRCLE = "◌"  # stands where a sign stands alone
Advance = Callable[[int, int], None]  # so many done, of so many


@dataclass(frozen=True)
class DataSet:
    """What is looked at: a store with labels, its heads, what their classes are called.

    images: of the store, read without keeping them; labels: int64 (N, heads); folds, fold_seed: of its folds;
    seed: what is drawn follows from it.
    """

    store: Store
    heads: Heads
    naming: Naming
    images: StoredImages
    labels: np.ndarray
    folds: int = 5
    fold_seed: int = 0
    seed: int = 0

    def __len__(self) -> int:
        return len(self.labels)

    def spelled(self, head: Head, label: int) -> str:
        """The class's text as it can stand alone: signs around a dotted circle, the absent sign as a word."""
        text = self.naming.of(head, label)
        if self.naming.compose is None:
            return text
        if text == NOTHING:
            return "none"
        if "\u0981" <= text[0] <= "\u0983" or "\u09bc" <= text[0] <= "\u09cd":
            return CIRCLE + text
        return text + CIRCLE if text[-1] == "\u09cd" else text

    def whole(self, labels: Sequence[int] | np.ndarray) -> str:
        """What all labels of an image spell; the classes' names in a row where they spell nothing."""
        text = self.naming.whole([int(label) for label in labels])
        if text is not None:
            return text
        return " · ".join(self.spelled(head, int(label)) for head, label in zip(self.heads, labels, strict=True))


@dataclass(frozen=True)
class Chart:
    """A chart that answers to pointer and finger: a figure as plotly takes it.

    name: unique on the page; data, layout: colors may be named as the page's, "--bar"; log: the axis that a button
    turns to a logarithmic scale; title: what stands above it or on its tab; pictured: the numbers in
    `customdata` are of images that appear at the pointer.
    """

    name: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    height: int = 320
    log: str = ""
    title: str = ""
    pictured: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page.

    name: of its anchor and of its picture; says: what was found, in a sentence or two; body: HTML after the charts;
    figure: the picture <name>.png; shown: whether the page shows it (where the body does not show the same);
    charts: stand in its place where scripts run; tabs: one chart at a time; tiles: (number, what it counts) for the
    head of the page; table: rows of <name>.csv, the first its header.
    """

    name: str
    heading: str
    says: str
    body: str = ""
    figure: Figure | None = None
    shown: bool = True
    charts: list[Chart] = field(default_factory=list)
    tabs: bool = False
    tiles: list[tuple[str, str]] = field(default_factory=list)
    table: list[Sequence[Any]] = field(default_factory=list)


def counted(count: int, thing: str, things: str = "") -> str:
    """A number with its noun: 1 image, 12 images."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def spaced(text: str) -> str:
    """HTML of a text in which each stretch of Bengali is a box of its own.

    Else a sign that follows a Latin word is cut off from its circle, which counts with the word, and gets another.
    """
    return re.sub(f"{CIRCLE}?[\u0980-\u09ff\u200c\u200d]+{CIRCLE}?", r'<span class="bn">\g<0></span>', escape(text))
