"""Small images inside the page, and beside their words on a picture."""

from base64 import b64encode
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np
from matplotlib.figure import Figure

from okkhor.reports import style
from okkhor.reports.sheet import bare_sheet, draw_picture

SIDE = 112  # pixels of the longer side, at most: twice what a page shows, for sharp screens
QUALITY = 55  # of WebP: a kilobyte an image


def data_uri(image: np.ndarray, side: int = SIDE, quality: int = QUALITY) -> str:
    """A gray image (H, W) uint8 as a WebP inside a URI, its longer side at most `side` pixels."""
    scale = min(1.0, side / max(image.shape))
    if scale < 1:
        height, width = (max(1, round(length * scale)) for length in image.shape)
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, quality])
    return "data:image/webp;base64," + b64encode(encoded.tobytes()).decode()


def pictures(images: np.ndarray, says: list[str] | None = None) -> str:
    """HTML of images (n, H, W); says: of each, what it shows."""
    said = says or [""] * len(images)
    return "".join(
        f'<img class="scan" src="{data_uri(image)}" alt="{escape(text)}" title="{escape(text)}">'
        for image, text in zip(images, said, strict=True)
    )


@dataclass(frozen=True)
class Line:
    """Images (n, H, W) with words before them: a large text, and a muted note below it."""

    text: str
    note: str
    images: np.ndarray


def draw_lines(title: str, note: str, columns: list[tuple[str, list[Line]]], each: int, words: float = 1.2) -> Figure:
    """A picture of lines in columns, each column with its heading; each: images to a line; words: inches for them.

    Columns stand in pairs beside each other, pair below pair.
    """
    width = (style.WIDTH - 0.6 - 0.4) / 2
    side = (width - words) / each
    shapes = [line.images.shape[1:] for _, lines in columns for line in lines if len(line.images)]
    step = min(max([0.45, *(side * high / wide for high, wide in shapes)]), 0.9) + 0.06
    pairs = [columns[k : k + 2] for k in range(0, len(columns), 2)]
    heights = [0.5 + step * max(len(lines) for _, lines in pair) for pair in pairs]
    figure = style.new_figure(1.0 + sum(heights) + 0.1)
    style.title(figure, title, note)
    sheet = bare_sheet(figure)
    top = 0.95
    for pair, height in zip(pairs, heights, strict=True):
        for place, (heading, lines) in enumerate(pair):
            left = 0.3 + place * (width + 0.4)
            style.write(figure, left, top + 0.05, style.shorten(heading, 56), 11, weight="bold")
            for number, line in enumerate(lines):
                y = top + 0.42 + number * step
                style.write_fitting(figure, left, y - 0.02, words - 0.1, 14, _apart(line.text))
                style.write_fitting(figure, left, y + 0.27, words - 0.1, 8.5, [(line.note, style.MUTED, True)])
                for k, image in enumerate(line.images[:each]):
                    draw_picture(sheet, image, (left + words + k * side, y, side - 0.05, step - 0.06))
        top += height
    return figure


def _apart(text: str) -> list[tuple[str, str, bool]]:
    """A text in parts that are shaped one by one: a sign keeps its circle, whatever stands before it."""
    first, arrow, second = text.partition(" → ")
    parts = [(first, style.INK, True), (arrow, style.FAINT, False), (second, style.INK, True)]
    return [part for part in parts if part[0]]
