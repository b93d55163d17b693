"""One image: which grapheme, in whose hand. Image i depends on the seed and i only."""

from functools import cached_property
from pathlib import Path

import numpy as np

from okkhor.data.synthetic.fonts import find_typefaces
from okkhor.data.synthetic.hand import write
from okkhor.data.synthetic.paper import Paper
from okkhor.data.synthetic.sketch import Sketch, Sketcher
from okkhor.errors import InputError
from okkhor.labels import read_graphemes

SIZE = (137, 236)  # of the competition's images
TRAIN, TEST = 0, 1  # the two streams of random numbers
_ORDER, _IMAGE = 0, 1


class Renderer:
    """Renders images; keeps traced glyphs, so make one per process.

    fonts: a folder of fonts besides those of the pip packages. Raises InputError when a grapheme has no font.
    """

    def __init__(self, seed: int, fonts: str | Path | None = None) -> None:
        self.seed = seed
        self.texts, self.labels = read_graphemes()
        typefaces = find_typefaces(fonts)
        unwritten = [text for text in self.texts if not any(face.shape(text) for face in typefaces)]
        if unwritten:
            raise InputError(
                f"data.fonts: no typeface writes {unwritten[0]} ({len(unwritten)} graphemes in all); "
                "install fontpkg-hind-siliguri, which writes all"
            )
        self._sketchers = [Sketcher(typeface) for typeface in typefaces]
        self._order: dict[tuple[int, int], np.ndarray] = {}

    @cached_property
    def _paper(self) -> Paper:
        return Paper()

    def grapheme(self, index: int, stream: int = TRAIN) -> int:
        """Row of the grapheme in `texts` and `labels` that image `index` shows: each comes once in every 1,295."""
        turn, place = divmod(index, len(self.texts))
        if (stream, turn) not in self._order:
            rng = np.random.default_rng((self.seed, stream, _ORDER, turn))
            self._order[stream, turn] = rng.permutation(len(self.texts))
        return int(self._order[stream, turn][place])

    def image(self, index: int, stream: int = TRAIN) -> np.ndarray:
        """Image `index` of a stream: uint8 (137, 236), paper white and ink dark."""
        rng = np.random.default_rng((self.seed, stream, _IMAGE, index))
        sketch = self._sketch(self.texts[self.grapheme(index, stream)], rng)
        strokes, pen = write(sketch, rng, SIZE)
        return self._paper.draw(strokes, pen, rng, SIZE)

    def _sketch(self, text: str, rng: np.random.Generator) -> Sketch:
        for k in rng.permutation(len(self._sketchers)).tolist():
            sketch = self._sketchers[k].sketch(text)
            if sketch is not None:
                return sketch
        raise AssertionError(f"no strokes for {text!r}")
