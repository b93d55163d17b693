"""The label map spells and reads what the made-up images show."""

from pathlib import Path

import pytest

from okkhor.errors import InputError
from okkhor.labels import CLASS_MAP, COLUMNS, read_class_map, read_graphemes

LABELS = read_class_map()


def test_every_text_is_spelled_by_its_labels_and_read_back() -> None:
    texts, rows = read_graphemes()
    assert len(set(texts)) == len(texts)
    for text, labels in zip(texts, rows, strict=True):
        assert LABELS.compose(*labels) == text
        assert LABELS.decompose(text) == labels


def test_labels_without_a_class_are_refused_by_column() -> None:
    for place, column in enumerate(COLUMNS):
        labels = [0, 0, 0]
        labels[place] = len(LABELS.names[column])
        with pytest.raises(InputError, match=f"{column}: no class"):
            LABELS.compose(*labels)


def test_a_text_that_nothing_spells_is_refused() -> None:
    with pytest.raises(InputError, match="spell it"):
        LABELS.decompose("AA")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("component_type,", "type,", "expected the columns"),
        (f"{COLUMNS[0]},1,", f"{COLUMNS[0]},0,", "each once"),
        (f"{COLUMNS[0]},1,", "color,1,", "unknown component_type 'color'"),
        (f"{COLUMNS[0]},1,", f"{COLUMNS[0]},99,", "without a gap"),
    ],
)
def test_a_damaged_table_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "class_map.csv"
    path.write_text(CLASS_MAP.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_class_map(path)
