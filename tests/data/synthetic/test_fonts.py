"""Typefaces: which texts they write, and what a folder of fonts may hold."""

import shutil

import numpy as np
import pytest

from okkhor.data.synthetic.fonts import find_typefaces
from okkhor.errors import InputError
from okkhor.labels import read_graphemes

FACES = find_typefaces()
HIND = next(face for face in FACES if "HindSiliguri" in face.name)
NOTO = next(face for face in FACES if "Noto" in face.name)


def test_hind_siliguri_writes_every_grapheme():
    assert [text for text in read_graphemes()[0] if HIND.shape(text) is None] == []


@pytest.mark.parametrize("text", ["ফ্ফ", "ঙ্ক্তি"])
def test_a_form_that_a_font_lacks_is_not_shaped_with_a_visible_hasanta(text):
    assert NOTO.shape(text) is None


@pytest.mark.parametrize("text", ["漢", "", "ক漢"])
def test_foreign_text_is_not_shaped(text):
    assert HIND.shape(text) is None


@pytest.mark.parametrize("text", ["ং", "ঃ"])
def test_signs_that_stand_alone_get_no_dotted_circle(text):
    assert len(HIND.shape(text)) == 1


def test_axes_of_a_variable_font_change_its_glyphs():
    light, narrow = (face for face in FACES if "Noto" in face.name)
    (placed,) = light.shape("ক")
    assert not np.array_equal(light.bitmap(placed.glyph, 64)[0], narrow.bitmap(placed.glyph, 64)[0])


def test_a_folder_adds_its_fonts(tmp_path):
    (tmp_path / "more").mkdir()
    shutil.copy(HIND.path, tmp_path / "more" / "Another.TTF")
    assert [face.path.name for face in find_typefaces(tmp_path)[len(FACES) :]] == ["Another.TTF"]


def test_a_folder_without_fonts_is_refused(tmp_path):
    (tmp_path / "font.woff2").write_bytes(b"wOF2")
    with pytest.raises(InputError, match=r"no \.ttf or \.otf file"):
        find_typefaces(tmp_path)


def test_a_file_that_is_no_font_is_refused_by_name(tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"not a font")
    with pytest.raises(InputError, match=r"broken\.ttf: not a readable font"):
        find_typefaces(tmp_path)


def test_fonts_of_other_scripts_are_passed_over(tmp_path):
    tamil = next(NOTO.path.parents[1].rglob("NotoSansTamil*.ttf"))
    shutil.copy(tamil, tmp_path)
    assert [face.name for face in find_typefaces(tmp_path)] == [face.name for face in FACES]
