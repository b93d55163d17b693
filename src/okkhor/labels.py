"""The label map: between class numbers and the written grapheme they stand for.

A Bengali grapheme is a root (a consonant, a conjunct or a vowel letter), at most one vowel sign and at most one
consonant sign. `class_map.csv` of the competition names the text of each class; this module joins and splits them.
"""

import csv
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from okkhor.errors import InputError

TABLES = Path(__file__).parent / "tables"
GRAPHEMES = (
    TABLES / "graphemes.csv"
)  # grapheme, grapheme_root, vowel_diacritic, consonant_diacritic: the 1,295 of the task
CLASS_MAP = TABLES / "class_map.csv"  # component_type, label, component: the competition's label map
COLUMNS = ("grapheme_root", "vowel_diacritic", "consonant_diacritic")

RA, HASANTA, JOINER = "\u09b0", "\u09cd", "\u200d"
REPH, YA_PHALA, RA_PHALA = RA + HASANTA, HASANTA + "\u09af", HASANTA + RA
WRITTEN_WITHOUT_JOINER = {"র্যো": "র\u200d্যো"}  # one grapheme of the task, labeled as ra with a ya below
CHANDRABINDU, NOTHING = "\u0981", "0"  # class_map.csv writes the absent sign as "0"


@dataclass(frozen=True)
class LabelMap:
    """Text of every class, by label column: `names["grapheme_root"][3]` is the text of root 3."""

    names: dict[str, list[str]]

    def compose(self, root: int, vowel: int, consonant: int) -> str:
        """The grapheme that three labels spell, NFC normalized.

        Raises InputError naming the column when a label has no class.
        """
        labels = (root, vowel, consonant)
        for column, label in zip(COLUMNS, labels, strict=True):
            if not 0 <= label < len(self.names[column]):
                raise InputError(f"{column}: no class {label}; expected 0 to {len(self.names[column]) - 1}")
        root_text, vowel_sign, sign = (self.names[c][k] for c, k in zip(COLUMNS, labels, strict=True))
        before, after, last = _around(sign)
        if root_text == RA and after.startswith(YA_PHALA):
            after = JOINER + after  # without the joiner these letters would read as a reph over ya
        vowel_text = "" if vowel_sign == NOTHING else vowel_sign
        return unicodedata.normalize("NFC", before + root_text + after + vowel_text + last)

    def decompose(self, text: str) -> tuple[int, int, int]:
        """The labels (root, vowel, consonant) of a grapheme.

        A reph together with a ra below (as in র্ত্রী) has no class of its own: as in the competition it counts as reph.
        Raises InputError when the text is not one root with at most one sign of each kind.
        """
        wanted = unicodedata.normalize("NFC", WRITTEN_WITHOUT_JOINER.get(text, text))
        found = self._labels_of.get(wanted)
        if found is None and wanted.startswith(REPH):
            found = self._labels_of.get(wanted.replace(RA_PHALA, "", 1))
        if found is None:
            raise InputError(
                f"{text!r} is no grapheme of this label map; expected one root with at most one vowel sign"
            )
        return found

    @cached_property
    def _labels_of(self) -> dict[str, tuple[int, int, int]]:
        labels: dict[str, tuple[int, int, int]] = {}
        sizes = [range(len(self.names[column])) for column in COLUMNS]
        for consonant in sizes[2]:  # outermost: of two readings the one with the plainer consonant sign wins
            for root in sizes[0]:
                for vowel in sizes[1]:
                    labels.setdefault(self.compose(root, vowel, consonant), (root, vowel, consonant))
        return labels


def _around(sign: str) -> tuple[str, str, str]:
    """Where a consonant sign goes: text before the root, right after the root, and after the vowel sign."""
    if sign == NOTHING:
        return "", "", ""
    if sign == CHANDRABINDU:
        return "", "", sign
    if sign.startswith(REPH):
        rest = sign.removeprefix(REPH)
        return REPH, HASANTA + rest if rest else "", ""
    return "", sign, ""


def read_class_map(path: str | Path = CLASS_MAP) -> LabelMap:
    """Read a file with the columns component_type, label, component, as the competition's `class_map.csv`.

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


def read_graphemes(path: str | Path = GRAPHEMES) -> tuple[list[str], list[tuple[int, int, int]]]:
    """The task's graphemes and their labels (root, vowel, consonant), in the table's order.

    Some forms share their labels with another (র্ত্রী and র্তী), so labels repeat where texts do not.
    """
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [r["grapheme"] for r in rows], [(int(r[COLUMNS[0]]), int(r[COLUMNS[1]]), int(r[COLUMNS[2]])) for r in rows]
