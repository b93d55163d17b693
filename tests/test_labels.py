"""The label map against the task's own table of graphemes."""

import unicodedata

import pytest

from okkhor.errors import InputError
from okkhor.labels import CLASS_MAP, COLUMNS, read_class_map, read_graphemes

LABELS = read_class_map()
TEXTS, ROWS = read_graphemes()


def test_every_grapheme_of_the_task_has_its_labels():
    assert len(set(TEXTS)) == len(TEXTS) == 1295
    assert [LABELS.decompose(text) for text in TEXTS] == ROWS


def test_labels_compose_to_the_grapheme_but_for_four_irregular_spellings():
    irregular = {
        t for t, row in zip(TEXTS, ROWS, strict=True) if LABELS.compose(*row) != unicodedata.normalize("NFC", t)
    }
    assert irregular == {"র্ত্রী", "র্ত্রে", "র্দ্র", "র্যো"}


@pytest.mark.parametrize("precomposed", ["\u09dc", "\u09dd", "\u09df"])
def test_precomposed_and_decomposed_letters_are_the_same_root(precomposed):
    decomposed = unicodedata.normalize("NFD", precomposed)
    assert decomposed != precomposed
    assert LABELS.decompose(decomposed) == LABELS.decompose(precomposed)


def test_every_combination_survives_the_round_trip_as_text():
    for root in range(0, len(LABELS.names[COLUMNS[0]]), 7):
        for vowel in range(len(LABELS.names[COLUMNS[1]])):
            for consonant in range(len(LABELS.names[COLUMNS[2]])):
                text = LABELS.compose(root, vowel, consonant)
                assert LABELS.compose(*LABELS.decompose(text)) == text


@pytest.mark.parametrize("labels", [(168, 0, 0), (0, 11, 0), (0, 0, 7), (-1, 0, 0)])
def test_labels_without_a_class_are_refused(labels):
    with pytest.raises(InputError, match="no class"):
        LABELS.compose(*labels)


@pytest.mark.parametrize("text", ["", "a", "কা" * 2, "ক" + "া" + "ি"])
def test_text_that_is_no_grapheme_is_refused(text):
    with pytest.raises(InputError, match="no grapheme"):
        LABELS.decompose(text)


HEADER = "component_type,label,component\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("type,label,component\ngrapheme_root,0,x\n", "row 2: expected the columns"),
        (HEADER + "root,0,x\n", "row 2: unknown component_type 'root'"),
        (HEADER + "grapheme_root,zero,x\n", "row 2: label 'zero'"),
        (HEADER + "grapheme_root,0,x\ngrapheme_root,0,y\n", "row 3: label '0'"),
        (HEADER + "grapheme_root,1,x\n", "grapheme_root do not run from 0"),
        (HEADER + "grapheme_root,0,x\n", "vowel_diacritic do not run from 0"),
    ],
)
def test_a_bad_class_map_is_refused_with_file_and_row(tmp_path, content, says):
    path = tmp_path / "class_map.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_class_map(path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)


def test_a_missing_class_map_is_refused(tmp_path):
    with pytest.raises(InputError, match="no label map"):
        read_class_map(tmp_path / "none.csv")


def test_names_follow_the_file():
    lines = CLASS_MAP.read_text(encoding="utf-8").splitlines()[1:]
    assert sum(len(names) for names in LABELS.names.values()) == len(lines) == 186
    assert LABELS.names["vowel_diacritic"][1] == "া"
