"""What an augmentation does to images: a row each, before and several times after."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from okkhor.reports import style
from okkhor.reports.naming import Naming
from okkhor.reports.sheet import bare_sheet, draw_picture

_GAP, _LINE = 0.16, 0.3  # inches between images; under one, for its note

# labels (heads,) of the image, of its partner, and the image's share; partner and share of 1 where nothing was mixed
Mixed = tuple[np.ndarray, np.ndarray, float]


def draw_augmentation(
    name: str,
    before: np.ndarray,
    labels: np.ndarray,
    after: np.ndarray,
    mixed: Sequence[Sequence[Mixed]],
    naming: Naming,
) -> Figure:
    """A grid of R images, each with C augmented forms of it and what they then count as.

    before: (R, H, W), gray levels; labels: (R, heads); after: (R, C, H, W); mixed: for each image and form.
    """
    rows, columns, height, width = after.shape
    side = (style.WIDTH - 0.6 + _GAP) / (columns + 1) - _GAP
    tall = side * height / width
    step = tall + _LINE + 0.12
    figure = style.new_figure(1.02 + rows * step + 0.1)
    style.title(figure, name, "Left the image as it is; then what a network sees of it in so many epochs.")
    sheet = bare_sheet(figure)
    for row in range(rows):
        top = 1.02 + row * step
        for column in range(-1, columns):
            left = 0.3 + (column + 1) * (side + _GAP)
            draw_picture(sheet, before[row] if column < 0 else after[row, column], (left, top, side, tall))
            note = _note(naming, *((labels[row], labels[row], 1.0) if column < 0 else mixed[row][column]))
            style.write_fitting(figure, left, top + tall + 0.05, side, 10, note)
    return figure


def _note(naming: Naming, own: np.ndarray, other: np.ndarray, share: float) -> list[tuple[str, str, bool]]:
    texts = [naming.whole(labels) or " ".join(map(str, labels)) for labels in (own, other)]
    first = (texts[0], style.INK, True)
    if share == 1:
        return [first]
    return [
        first, (f" {share:.0%}", style.MUTED, False), (" + ", style.FAINT, False),
        (texts[1], style.INK, True), (f" {1 - share:.0%}", style.MUTED, False),
    ]  # fmt: skip
