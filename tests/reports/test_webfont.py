import base64
import re
from io import BytesIO

import uharfbuzz
from fontTools.ttLib import TTFont

from okkhor.reports.webfont import font_faces


def test_the_page_s_font_shapes_its_conjuncts():
    text = "ক্ট্রো র্টি ১২ ABC"
    for encoded in re.findall(r"base64,([^\"]+)\"", font_faces(text)):
        face = TTFont(BytesIO(base64.b64decode(encoded)))
        face.flavor, plain = None, BytesIO()
        face.save(plain)
        buffer = uharfbuzz.Buffer()
        buffer.add_str("ক্ট্রো")
        buffer.guess_segment_properties()
        uharfbuzz.shape(uharfbuzz.Font(uharfbuzz.Face(plain.getvalue())), buffer)
        glyphs = [info.codepoint for info in buffer.glyph_infos]
        assert 0 not in glyphs
        assert len(glyphs) < len("ক্ট্রো")  # a conjunct, not letters in a row
        assert "Z" not in {chr(code) for code in face.getBestCmap()}  # only what the text needs
