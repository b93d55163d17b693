"""Made-up images to try: other ones than any that was trained on."""

from functools import cache

import cv2

from okkhor.data.synthetic.render import Renderer

SEED = 20_261_124
COUNT = 8
_RENDERER = Renderer(SEED)
TEXTS = tuple(_RENDERER.texts[_RENDERER.grapheme(number)] for number in range(COUNT))


@cache
def sample_png(number: int) -> bytes:
    """Sample `number` of TEXTS as PNG; always the same image."""
    return cv2.imencode(".png", _RENDERER.image(number))[1].tobytes()
