"""Graphemes to try: written by the synthetic hand, in other handwriting than any that was trained on."""

from functools import cache

import cv2
import numpy as np

from okkhor.data.synthetic.fonts import find_typefaces
from okkhor.data.synthetic.hand import write
from okkhor.data.synthetic.paper import Paper
from okkhor.data.synthetic.printed import render_text
from okkhor.data.synthetic.render import SIZE
from okkhor.data.synthetic.sketch import Sketcher

# a plain letter, a vowel, signs below, above and on both sides, and conjuncts; the last is printed, not written
WRITTEN = ("ক", "অ", "ভূ", "চাঁ", "স্থি", "র্তো", "ন্ত্রে")
PRINTED = ("ঙ্গে",)
TEXTS = (*WRITTEN, *PRINTED)
SEED = 20_261_124


@cache
def sample_png(number: int) -> bytes:
    """Sample `number` of TEXTS as PNG, of the competition's size; always the same image."""
    text = TEXTS[number]
    image = render_text(text, SIZE, margin=0.2) if text in PRINTED else _written(text, number)
    return cv2.imencode(".png", image)[1].tobytes()


def _written(text: str, number: int) -> np.ndarray:
    random = np.random.default_rng((SEED, number))
    for face in find_typefaces():
        sketch = Sketcher(face).sketch(text)
        if sketch is not None:
            return _paper().draw(*write(sketch, random, SIZE), random, SIZE)
    raise AssertionError(f"no typeface writes {text!r}")


@cache
def _paper() -> Paper:
    return Paper()
