"""One made-up image: which letter and marks, in which type. Image i depends on the seed and i only."""

import unicodedata
from pathlib import Path

import cv2
import numpy as np

from okkhor.data.synthetic.fonts import find_typefaces
from okkhor.labels import read_graphemes

SIZE = (137, 236)  # height, width
TRAIN, TEST = 0, 1  # the two streams of random numbers
_ORDER, _IMAGE = 0, 1
LETTER = 64  # pixels per em
_TURN = np.linspace(0, 2 * np.pi, 13)
_ARC = np.linspace(0, np.pi, 9)
# the marks by class, each some lines of points (x, y) from -1 to 1, y down; class 0 is no mark
ABOVE: list[list[np.ndarray]] = [
    [],
    [np.array([[-0.6, -0.7], [0.5, 0.6]])],
    [np.array([[0.6, -0.7], [-0.5, 0.6]])],
    [np.array([[-0.9, 0.6], [0, -0.7], [0.9, 0.6]])],
    [np.array([[-0.9, -0.6], [0, 0.7], [0.9, -0.6]])],
    [np.array([[-1, 0], [1, 0]])],
    [np.array([[0, -0.1], [0, 0.1]])],
    [np.array([[-0.8, 0], [-0.7, 0]]), np.array([[0.7, 0], [0.8, 0]])],
    [np.stack([np.linspace(-1, 1, 13), -0.6 * np.sin(np.linspace(-np.pi, np.pi, 13))], axis=1)],
    [np.stack([0.9 * np.cos(_ARC), 0.9 * np.sin(_ARC) - 0.4], axis=1)],
    [np.stack([0.6 * np.cos(_TURN), 0.6 * np.sin(_TURN)], axis=1)],
]
BELOW = [[], [np.array([[0, -0.9], [0.5, -0.1], [-0.6, 0.8]])], *(ABOVE[k] for k in (6, 7, 5, 8, 10))]


class Renderer:
    """Renders images. fonts: a folder of fonts besides those of the pip packages."""

    def __init__(self, seed: int, fonts: str | Path | None = None) -> None:
        self.seed = seed
        self.texts, self.labels = read_graphemes()
        self._typefaces = find_typefaces(fonts)
        self._order: dict[tuple[int, int], np.ndarray] = {}

    def grapheme(self, index: int, stream: int = TRAIN) -> int:
        """Row in `texts` and `labels` of what image `index` shows: each comes as often as the others."""
        turn, place = divmod(index, len(self.texts))
        if (stream, turn) not in self._order:
            rng = np.random.default_rng((self.seed, stream, _ORDER, turn))
            self._order[stream, turn] = rng.permutation(len(self.texts))
        return int(self._order[stream, turn][place])

    def image(self, index: int, stream: int = TRAIN) -> np.ndarray:
        """Image `index` of a stream: uint8 (137, 236), paper white and ink dark."""
        rng = np.random.default_rng((self.seed, stream, _IMAGE, index))
        row = self.grapheme(index, stream)
        ink = self._written(self.texts[row], self.labels[row], rng)
        angle, scale = rng.normal(0, 5), rng.uniform(0.8, 1.1)
        turned = cv2.getRotationMatrix2D((SIZE[1] / 2, SIZE[0] / 2), angle, scale)
        turned[:, 2] += rng.uniform((-30, -8), (30, 8))
        turned[0, 1] += rng.normal(0, 0.1)  # slant
        ink = cv2.GaussianBlur(cv2.warpAffine(ink, turned, SIZE[::-1]), (0, 0), rng.uniform(0.5, 1.2))
        image = rng.uniform(235, 254) - ink * rng.uniform(0.6, 0.9) + rng.normal(0, 3, SIZE)
        return np.clip(image, 0, 255).astype(np.uint8)

    def _written(self, text: str, labels: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Coverage uint8 (137, 236): the letter in the middle, its marks above and below."""
        ink = np.zeros(SIZE, np.uint8)
        letter = self._typefaces[rng.integers(len(self._typefaces))].text(unicodedata.normalize("NFD", text)[0], LETTER)
        height, width = letter.shape
        y, x = (SIZE[0] - height) // 2, (SIZE[1] - width) // 2
        ink[y : y + height, x : x + width] = letter
        thick = int(rng.integers(2, 5))
        for lines, at in ((ABOVE[labels[1]], y - 16), (BELOW[labels[2]], y + height + 16)):
            middle = np.array([x + width / 2, at]) + rng.normal(0, 2, 2)
            for line in lines:
                points = np.round(16 * (middle + 10 * line + rng.normal(0, 0.3, line.shape))).astype(np.int32)
                cv2.polylines(ink, [points], False, 255, thick, cv2.LINE_AA, shift=4)
        return ink
