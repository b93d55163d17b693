"""Synthetic handwriting: real graphemes, printed by fonts and rewritten by an imagined hand.

A glyph is thinned to the strokes of a pen (`strokes`), a grapheme put together from them (`sketch`), written by a hand
that slants and wobbles (`hand`), and scanned from paper (`paper`). `render_dataset` makes a data set of such images in
the competition's format.
"""

from okkhor.data.synthetic.dataset import render_dataset
from okkhor.data.synthetic.printed import render_text
from okkhor.data.synthetic.sheet import contact_sheet

__all__ = ["contact_sheet", "render_dataset", "render_text"]
