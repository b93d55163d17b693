"""The label map: between class numbers and the text that they stand for.

`tables/class_map.csv` names the text of each class of the made-up images: a letter, a mark above it, a mark below it.
"""

import csv
import itertools
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from okkhor.errors import InputError

TABLES = Path(__file__).parent / "tables"
GRAPHEMES = TABLES / "graphemes.csv"  # the text and its labels, of all that the made-up images show
CLASS_MAP = TABLES / "class_map.csv"  # component_type, label, component
COLUMNS = ("grapheme_root", "vowel_diacritic", "consonant_diacritic")
NOTHING = "0"  # how class_map.csv writes that there is no mark


@dataclass(frozen=True)
class LabelMap:
    """Text of every class, by label column: `names[column][3]` is the text of class 3."""

    names: dict[str, list[str]]

    def compose(self, *labels: int) -> str:
        """The text that the labels spell, one a column, NFC normalized.

        Raises InputError naming the column when a label has no class.
        """
        for column, label in zip(COLUMNS, labels, strict=True):
            if not 0 <= label < len(self.names[column]):
                raise InputError(f"{column}: no class {label}; expected 0 to {len(self.names[column]) - 1}")
        texts = [self.names[column][label] for column, label in zip(COLUMNS, labels, strict=True)]
        return unicodedata.normalize("NFC", "".join("" if text == NOTHING else text for text in texts))

    def decompose(self, text: str) -> tuple[int, ...]:
        """The labels of a text. Raises InputError when no labels spell it."""
        found = self._labels_of.get(unicodedata.normalize("NFC", text))
        if found is None:
            raise InputError(f"{text!r}: no labels of this label map spell it")
        return found

    @cached_property
    def _labels_of(self) -> dict[str, tuple[int, ...]]:
        every = itertools.product(*(range(len(self.names[column])) for column in COLUMNS))
        return {self.compose(*labels): labels for labels in every}


def read_class_map(path: str | Path = CLASS_MAP) -> LabelMap:
    """Read a file with the columns component_type, label, component.

    Raises InputError naming file and row when a column or component type is absent, or labels do not run from 0.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no label map ({error}); expected class_map.csv of the data") from None
    names: dict[str, dict[int, str]] = {column: {} for column in COLUMNS}
    for number, row in enumerate(rows, start=2):
        kind, label, component = (row.get(field) for field in ("component_type", "label", "component"))
        if kind is None or label is None or component is None:
            raise InputError(f"{path}, row {number}: expected the columns component_type, label, component")
        if kind not in names:
            expected = ", ".join(COLUMNS)
            raise InputError(f"{path}, row {number}: unknown component_type {kind!r}; expected one of {expected}")
        if not label.isdecimal() or int(label) in names[kind]:
            raise InputError(f"{path}, row {number}: label {label!r}; expected a whole number, each once in {kind}")
        names[kind][int(label)] = component
    for kind, texts in names.items():
        if not texts or max(texts) != len(texts) - 1:
            raise InputError(f"{path}: the labels of {kind} do not run from 0 without a gap ({len(texts)} classes)")
    return LabelMap({kind: [texts[k] for k in range(len(texts))] for kind, texts in names.items()})


def read_graphemes(path: str | Path = GRAPHEMES) -> tuple[list[str], list[tuple[int, ...]]]:
    """The texts that the made-up images show, and their labels, in the table's order."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        text, *rows = csv.reader(file)
    assert tuple(text[1:]) == COLUMNS
    return [row[0] for row in rows], [tuple(map(int, row[1:])) for row in rows]
