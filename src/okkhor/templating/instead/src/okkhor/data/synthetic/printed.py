"""Clean, printed text, for pictures."""

import cv2
import numpy as np

from okkhor.data.synthetic.fonts import Typeface, find_typefaces


def render_text(
    text: str, size: tuple[int, int], *, margin: float = 0.08, typeface: Typeface | None = None
) -> np.ndarray:
    """A text as print, as large as fits in the middle of the image: uint8 (H, W), paper 255 and ink 0.

    size: (H, W) in pixels. margin: paper on each side, as a share of height and width. An empty text gives empty paper.
    """
    height, width = size
    paper = np.full(size, 255, np.uint8)
    ink = (typeface or find_typefaces()[-1]).text(text, max(16, 2 * height))
    if not ink.size:
        return paper
    free = 1.0 - 2.0 * margin
    scale = min(height * free / ink.shape[0], width * free / ink.shape[1])
    fitted = (max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale)))
    ink = cv2.resize(ink, fitted, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    y, x = (height - ink.shape[0]) // 2, (width - ink.shape[1]) // 2
    paper[y : y + ink.shape[0], x : x + ink.shape[1]] -= ink
    return paper
