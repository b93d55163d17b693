"""Clean, printed Bengali text, for pictures: matplotlib cannot shape the script."""

from functools import cache

import cv2
import numpy as np

from okkhor.data.synthetic.fonts import Typeface, find_typefaces


@cache
def _print_face() -> Typeface:
    return find_typefaces()[0]


def render_text(
    text: str, size: tuple[int, int], *, margin: float = 0.08, typeface: Typeface | None = None
) -> np.ndarray:
    """A text as print, as large as fits in the middle of the image: uint8 (H, W), paper 255 and ink 0.

    size: (H, W) in pixels. margin: paper on each side, as a share of height and width. A text that the font cannot
    shape, and an empty one, give empty paper.
    """
    height, width = size
    paper = np.full(size, 255, np.uint8)
    face = typeface or _print_face()
    placed = face.shape(text)
    if placed is None:
        return paper
    pixels = max(16, 2 * height)
    boxes = []
    for place in placed:
        bitmap, left, top = face.bitmap(place.glyph, pixels)
        if bitmap.size:
            boxes.append((bitmap, round(place.x * pixels) + left, -round(place.y * pixels) - top))
    if not boxes:
        return paper
    x0, y0 = min(x for _, x, _ in boxes), min(y for _, _, y in boxes)
    x1 = max(x + bitmap.shape[1] for bitmap, x, _ in boxes)
    y1 = max(y + bitmap.shape[0] for bitmap, _, y in boxes)
    ink = np.zeros((y1 - y0, x1 - x0), np.uint8)
    for bitmap, x, y in boxes:
        area = ink[y - y0 : y - y0 + bitmap.shape[0], x - x0 : x - x0 + bitmap.shape[1]]
        np.maximum(area, bitmap, out=area)
    free = 1.0 - 2.0 * margin
    scale = min(height * free / ink.shape[0], width * free / ink.shape[1])
    fitted = (max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale)))
    ink = cv2.resize(ink, fitted, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    y, x = (height - ink.shape[0]) // 2, (width - ink.shape[1]) // 2
    paper[y : y + ink.shape[0], x : x + ink.shape[1]] -= ink
    return paper
