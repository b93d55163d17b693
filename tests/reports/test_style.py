import pytest
import uharfbuzz
from matplotlib.font_manager import findfont, get_font
from matplotlib.ft2font import LoadFlags
from PIL import Image

from okkhor.atomic import replacing
from okkhor.reports import style


@pytest.mark.parametrize("text", ["ক্ট্রো", "র্টি", "কি", "ক্ষ্মৌ", "র‍্যা"])
def test_matplotlib_shapes_bengali_as_harfbuzz_does(text):
    path = findfont(style.font(10))
    font = uharfbuzz.Font(uharfbuzz.Face(uharfbuzz.Blob.from_file_path(path)))
    buffer = uharfbuzz.Buffer()
    buffer.add_str(text)
    buffer.guess_segment_properties()
    uharfbuzz.shape(font, buffer)
    ours = [int(item.glyph_index) for item in get_font(path)._layout(text, LoadFlags.NO_HINTING)]
    assert ours == [glyph.codepoint for glyph in buffer.glyph_infos]


def test_bengali_is_drawn_in_the_family_that_has_it():
    assert "HindSiliguri" in str(findfont(style.font(10)))
    assert style.drawable("র্টি → naïve ◌া")
    assert not style.drawable("漢字")


@pytest.mark.parametrize("length", [3, 8, 20])
def test_shortened_text_keeps_both_ends_and_the_limit(length):
    text = "Northern owl number 12"
    short = style.shorten(text, length)
    assert len(short) <= length
    assert short[0] == "N"
    assert short[-1] == "2"
    assert style.shorten(text, len(text)) == text


def test_saving_leaves_one_whole_file(tmp_path):
    figure = style.new_figure(1.0)
    style.title(figure, "A finding that is far too long for one line of the picture " * 3)
    path = style.save(figure, tmp_path / "a.png")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    with Image.open(path) as image:
        image.load()
        assert image.size == (1440, 144)
        assert image.getpixel((1439, 20)) == (255, 255, 255)  # the title was made to fit


def test_failing_write_leaves_what_was_there(tmp_path):
    (tmp_path / "a").write_text("old")

    def write():
        with replacing(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise RuntimeError("full disk")

    with pytest.raises(RuntimeError, match="full disk"):
        write()
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a": "old"}
