"""Names that will do and names that will not, each told why."""

from pathlib import Path

import pytest

from okkhor.errors import InputError
from okkhor.templating.naming import LONGEST, checked_folder, checked_name

ROOT = Path(__file__).resolve().parents[2]


def test_a_name_and_its_forms():
    name = checked_name("plankton2", None, ROOT)
    assert (name.word, name.title, name.camel, name.upper) == ("plankton2", "Plankton2", "Plankton2", "PLANKTON2")
    assert checked_name("plankton", "Plankton  of the\nSea", ROOT).title == "Plankton of the Sea"
    assert checked_name("a" * LONGEST, "Étude", ROOT).title == "Étude"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("", "lowercase letters"),
        ("My-Project", "lowercase letters"),
        ("two_words", "lowercase letters"),
        ("2fast", "a letter first"),
        ("../up", "lowercase letters"),
        ("ক", "lowercase letters"),
        ("a" * (LONGEST + 1), f"at most {LONGEST}"),
        ("class", "a word of Python"),
        ("match", "a word of Python"),
        ("json", "standard library"),
        ("numpy", "installed here"),
        ("okkhor", "of this project"),
        ("tests", "of this project"),
        ("train", "of this project"),
        ("aws", "of this project"),
    ],
)
def test_a_name_that_will_not_do_is_told_why(word, said):
    with pytest.raises(InputError, match=said):
        checked_name(word, None, ROOT)


@pytest.mark.parametrize("title", ["", "A: b", "<b>", "it's", 'say "hi"', "{x}", "x" * 41, "3 D"])
def test_a_title_that_would_have_to_be_quoted_is_refused(title):
    with pytest.raises(InputError, match="--title"):
        checked_name("plankton", title, ROOT)


def test_folders_that_may_be_made(tmp_path):
    (tmp_path / "empty").mkdir()
    assert checked_folder(tmp_path / "empty", ROOT) == tmp_path / "empty"
    assert checked_folder(tmp_path / "new" / "deeper", ROOT) == tmp_path / "new" / "deeper"


def test_folders_that_may_not_are_told_why(tmp_path):
    (tmp_path / "file").write_text("x")
    for folder, said in [(tmp_path / "file", "is a file"), (tmp_path, "is not empty"), (ROOT / "mine", "lies in this")]:
        with pytest.raises(InputError, match=said):
            checked_folder(folder, ROOT)
