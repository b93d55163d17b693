import io
import re

from rich.console import Console

from okkhor.serving.showing import show


def choices(*found: tuple[int, str, float]) -> list[dict]:
    return [{"class": label, "text": text, "probability": probability} for label, text, probability in found]


def printed(answer: dict, title: str = "") -> str:
    console = Console(file=io.StringIO(), width=100)
    show({"confidence": 0.5, "model": {"name": "okkhor", "version": "1.0", "format": "onnx"}} | answer, title, console)
    return console.file.getvalue()


LETTERS = {
    "grapheme": "কা",
    "heads": {
        "root": choices((13, "ক", 0.9), (107, "ব", 0.05)),
        "vowel": choices((1, "া", 0.75), (0, "0", 0.25)),
    },
}


def test_grapheme_classes_and_model_are_shown_and_the_title_above_them():
    text = printed(LETTERS, "a.png")
    assert text.startswith("a.png\n")
    assert "┃      কা" in text
    assert "ক (13)    90.0%" in text
    assert "50.0% sure · okkhor 1.0 (onnx)" in text


def test_a_sign_stands_beside_a_circle_and_an_absent_one_is_a_dash():
    text = printed(LETTERS)
    assert "◌া (1)" in text
    assert "– (0)" in text


def test_a_class_that_is_called_0_is_shown_where_nothing_is_spelled():
    text = printed({"grapheme": None, "heads": {"digit": choices((0, "0", 0.6), (3, "3", 0.2))}})
    assert "0 (0)" in text
    assert "–" not in text


def test_the_map_is_darkest_where_its_number_is_largest():
    text = printed(LETTERS | {"activation_maps": {"root": [[0.0, 1.0], [-2.0, 4.0]]}})
    rows = re.search(r"where it looked for root\n(.*)\n(.*)\n", text).groups()
    assert [row[2:4] for row in rows] == ["▒▒", "██"]
    assert rows[1][:2] == "  "
