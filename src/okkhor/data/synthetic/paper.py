"""Pen on paper under a scanner: from strokes to gray values."""

import math

import cv2
import numpy as np

OVERSAMPLING = 2  # lines are drawn this much larger, so that pens of 4 and 4.5 pixels differ
SHIFT = 4  # fractional bits of coordinates for cv2
TILE = 512  # side of the stored noise, from which each image takes a window


class Paper:
    """Draws strokes as a scanned pen. The noise tiles are the same in every process."""

    def __init__(self) -> None:
        rng = np.random.default_rng(137236)
        fine = rng.standard_normal((TILE, TILE)).astype(np.float32)
        grain = cv2.GaussianBlur(fine, (0, 0), 1.1)
        cloud = cv2.GaussianBlur(rng.standard_normal((TILE, TILE)).astype(np.float32), (0, 0), 14.0)
        self._grain = grain / grain.std()
        self._cloud = cloud / cloud.std()
        blotch = cv2.GaussianBlur(rng.standard_normal((TILE, TILE)).astype(np.float32), (0, 0), 2.2)
        self._blotch = blotch / blotch.std()

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
            tone = np.clip(225.0 + 20.0 * pressure, 150, 255).astype(int).tolist()
            at = (stroke * scale).round().astype(int).tolist()
            for k in range(steps):
                cv2.line(canvas, at[k], at[k + 1], tone[k], thick[k], cv2.LINE_8, SHIFT)
        ink = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
        ink = cv2.GaussianBlur(ink, (0, 0), 0.58 + 0.42 * rng.random()).astype(np.float32)
        return self._scan(ink, rng)

    def _scan(self, ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Ink coverage 0-255 float32 (H, W) to gray values."""
        height, width = ink.shape
        at = rng.integers(0, (TILE - height, TILE - width), (3, 2)).tolist()
        grain, cloud, blotch = (
            tile[y : y + height, x : x + width]
            for tile, (y, x) in zip((self._grain, self._cloud, self._blotch), at, strict=True)
        )
        tone = 255.3 - 2.4 * abs(rng.standard_normal()) ** 1.5
        dark = tone - min(max(47.0 + 20.0 * rng.standard_normal(), 12.0), 110.0)
        noise = 0.95 * math.exp(0.4 * rng.standard_normal())
        paper = noise * (grain + 0.8 * cloud)
        gray = tone + paper - ink * (1.0 + 0.085 * blotch) * np.float32(dark / 225.0)
        if rng.random() < 0.12:
            _stain(gray, rng)
        return np.clip(gray + np.float32(0.5), 5, 255).astype(np.uint8)


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
