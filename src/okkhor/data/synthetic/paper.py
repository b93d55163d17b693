"""Pen on paper under a scanner: from strokes to gray values."""

import math

import cv2
import numpy as np

OVERSAMPLING = 2  # lines are drawn this much larger, so that pens of 4 and 4.5 pixels differ
FULL = 225.0  # tone of a line drawn with usual pressure
SHIFT = 4  # fractional bits of coordinates for cv2
TILE = 512  # side of the stored noise, from which each image takes a window


class Paper:
    """Draws strokes as a scanned pen. The noise tiles are the same in every process."""

    def __init__(self) -> None:
        rng = np.random.default_rng(137236)
        grain, cloud, blotch = (_noise(rng, sigma) for sigma in (1.1, 14.0, 2.2))
        self._paper = grain + np.float32(0.8) * cloud  # the scanner's noise, and paper that is not quite flat
        self._flow = np.float32(1.0) + np.float32(0.085) * blotch  # ink takes more here and less there

    def draw(
        self, strokes: list[np.ndarray], pen: float, rng: np.random.Generator, size: tuple[int, int]
    ) -> np.ndarray:
        """Strokes in pixels as a gray image uint8 (H, W), paper white and ink dark. pen: width in pixels."""
        height, width = size
        canvas = np.zeros((height * OVERSAMPLING, width * OVERSAMPLING), np.uint8)
        uneven = 0.13 * abs(rng.standard_normal())
        scale = OVERSAMPLING << SHIFT
        for stroke in strokes:
            steps = len(stroke) - 1
            pressure = np.convolve(rng.standard_normal(steps + 6), (0.2, 0.3, 0.3, 0.3, 0.3, 0.2), "valid")[:steps]
            thick = np.clip(pen * OVERSAMPLING * (1.0 + uneven * pressure), 2, 20).round().astype(int).tolist()
            tone = np.clip(FULL + 20.0 * pressure, 150, 255).astype(int).tolist()
            at = (stroke * scale).round().astype(int).tolist()
            for k in range(steps):
                cv2.line(canvas, at[k], at[k + 1], tone[k], thick[k], cv2.LINE_8, SHIFT)
        ink = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
        ink = cv2.GaussianBlur(ink, (0, 0), 0.58 + 0.42 * rng.random()).astype(np.float32)
        return self._scan(ink, rng)

    def _scan(self, ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Ink coverage 0-255 float32 (H, W) to gray values."""
        height, width = ink.shape
        (y, x), (v, u) = rng.integers(0, (TILE - height, TILE - width), (2, 2)).tolist()
        tone = 255.3 - 2.4 * abs(rng.standard_normal()) ** 1.5
        dark = tone - min(max(47.0 + 20.0 * rng.standard_normal(), 12.0), 110.0)
        noise = 0.95 * math.exp(0.4 * rng.standard_normal())
        gray = self._paper[y : y + height, x : x + width] * np.float32(noise)
        gray += np.float32(tone)
        ink *= self._flow[v : v + height, u : u + width]
        ink *= np.float32(dark / FULL)
        gray -= ink
        if rng.random() < 0.12:
            _stain(gray, rng)
        return np.clip(gray, 5, 255, out=gray).round().astype(np.uint8)


def _noise(rng: np.random.Generator, sigma: float) -> np.ndarray:
    """A tile of noise of unit variance, smooth over `sigma` pixels."""
    tile = cv2.GaussianBlur(rng.standard_normal((TILE, TILE)).astype(np.float32), (0, 0), sigma)
    return tile / tile.std()


def _stain(gray: np.ndarray, rng: np.random.Generator) -> None:
    """A faint mark that is no writing: a speck of dust, or the printed frame of the form at an edge."""
    height, width = gray.shape
    if rng.random() < 0.6:
        y, x = int(rng.integers(2, height - 2)), int(rng.integers(2, width - 2))
        gray[y - 1 : y + 1, x - 1 : x + 1] -= np.float32(rng.uniform(15, 90))
    elif rng.random() < 0.5:
        gray[:, int(rng.choice([0, 1, width - 2, width - 1]))] -= np.float32(rng.uniform(10, 120))
    else:
        gray[int(rng.choice([0, 1, height - 2, height - 1]))] -= np.float32(rng.uniform(5, 40))
