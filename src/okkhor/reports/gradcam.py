"""Grad-CAM of the surest mistakes: the image, where the truth's score came from, where the answer's did."""

from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from okkhor.reports import style
from okkhor.reports.misread import most_confident_mistakes
from okkhor.reports.naming import Naming
from okkhor.reports.recall import HeadResult

MOST, MOST_HEADS = 12, 6
COLUMNS = 2
FINE = 2  # a map is drawn with so many times the image's points: about those of the finished picture
# from paper to orange: lightness falls all the way, so that a print in gray tells as much
HEAT = LinearSegmentedColormap.from_list("heat", ["#ffffff", "#fde3c0", "#f9b46b", "#e07b1a"])
_APART, _GAP, _HEADING = 0.4, 0.1, 0.5  # inches: between mistakes, between the pictures of one, over a head's


@dataclass(frozen=True)
class Explained:
    """Maps of M mistakes.

    chosen: int64 (M, 2), index of the sample and number of the head that misread it; images: uint8 (M, H, W), what
    the network saw, at any resolution; truth, answer: float32 (M, h, w), none below 0, of the two classes.
    """

    chosen: np.ndarray
    images: np.ndarray
    truth: np.ndarray
    answer: np.ndarray


def surest_mistakes(results: list[HeadResult], probabilities: list[np.ndarray], most: int = MOST) -> np.ndarray:
    """Mistakes to explain, int64 (M, 2), index of the sample and number of the head: each head's surest.

    probabilities: per head (N, classes). Heads share `most` evenly, those of most weight first, an even number each.
    """
    wrong = [k for k, r in enumerate(results) if (r.labels != r.predicted).any()]
    wrong = sorted(wrong, key=lambda k: -results[k].head.weight)[:MOST_HEADS]
    each = max(most // max(len(wrong), 1) // COLUMNS, 1) * COLUMNS
    found = [(int(i), k) for k in wrong for i in most_confident_mistakes([results[k]], [probabilities[k]])[:each]]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def draw_gradcam(
    explained: Explained, results: list[HeadResult], probabilities: list[np.ndarray], naming: Naming
) -> Figure | None:
    """Three pictures a mistake, two mistakes a row, head by head; None where there is none."""
    count, *size = explained.images.shape
    if not count:
        return None
    wide = ((style.WIDTH - 0.6 + _APART) / COLUMNS - _APART + _GAP) / 3 - _GAP
    tall = min(wide * size[0] / size[1], 1.6)
    step = tall + 0.5
    heads = list(dict.fromkeys(explained.chosen[:, 1].tolist()))
    members = [np.flatnonzero(explained.chosen[:, 1] == k) for k in heads]
    tops = np.cumsum([1.2, *(_HEADING + step * -(-len(m) // COLUMNS) for m in members)])
    figure = style.new_figure(tops[-1] + 0.05)
    total = sum(int((r.labels != r.predicted).sum()) for r in results)
    style.title(
        figure,
        f"Where the network looked: {count} of {total:,} mistakes, the surest of each head",
        "An image, where the score of the true class came from, and where that of the answer did (Grad-CAM, Selvaraju "
        "et al. 2017).\nDarker is more, each map to its own most; the line encloses what has half of it. A map as pale "
        "as paper: nothing spoke for the class.",
    )
    sheet = _sheet(figure)
    for k, mine, top in zip(heads, members, tops, strict=False):
        style.write(figure, 0.3, top + 0.12, style.shorten(results[k].head.name, 24), 11.5, weight="bold")
        for place, m in enumerate(mine):
            left = 0.3 + place % COLUMNS * (3 * (wide + _GAP) - _GAP + _APART)
            corner = (left, top + _HEADING + place // COLUMNS * step)
            index = int(explained.chosen[m, 0])
            labels = int(results[k].labels[index]), int(results[k].predicted[index])
            shares = [float(probabilities[k][index, label]) for label in labels]
            texts = [naming.short(results[k].head, label, 16) for label in labels]
            for column, heat in enumerate((None, explained.truth[m], explained.answer[m])):
                box = (corner[0] + column * (wide + _GAP), corner[1], wide, tall)
                draw_heat(sheet, explained.images[m], heat, box)
                note = [("the image", style.MUTED, False)]
                if column:
                    color = style.WRONG if column == 2 else style.INK
                    what = "read as " if column == 2 else "truth "
                    share = (f" ({shares[column - 1]:.0%})", style.MUTED, False)
                    note = [(what, style.MUTED, False), (texts[column - 1], color, True), share]
                style.write_fitting(figure, box[0], box[1] + tall + 0.05, wide, 10, note)
    return figure


def _sheet(figure: Figure) -> Axes:
    width, height = figure.get_size_inches()
    sheet = style.inches(figure, 0, 0, width, height)
    sheet.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    sheet.set_axis_off()
    return sheet


def draw_heat(
    sheet: Axes, picture: np.ndarray, heat: np.ndarray | None, box: tuple[float, float, float, float]
) -> None:
    """The picture (H, W) in a frame, its paper colored by the heat (h, w), which is spread over all of the picture.

    box: the frame's left, top, width, height in inches.
    """
    left, top, width, height = box
    scale = min(width / picture.shape[1], height / picture.shape[0])
    wide, tall = picture.shape[1] * scale, picture.shape[0] * scale
    x, y = left + (width - wide) / 2, top + (height - tall) / 2
    fine = (picture.shape[1] * FINE, picture.shape[0] * FINE)
    ink = np.clip(cv2.resize(picture, fine, interpolation=cv2.INTER_CUBIC), 0, 255)[..., None] / 255
    shares = np.zeros(fine[::-1]) if heat is None or heat.max() <= 0 else spread(heat, fine)
    extent = (x, x + wide, y + tall, y)
    sheet.imshow(HEAT(shares)[..., :3] * ink, interpolation="antialiased", aspect="auto", extent=extent)
    if shares.any():
        across, down = (
            np.linspace(a + s / 2 / n, a + s - s / 2 / n, n) for a, s, n in zip((x, y), (wide, tall), fine, strict=True)
        )
        sheet.contour(across, down, shares, levels=[0.5], colors="#ffffff", linewidths=2.6)
        sheet.contour(across, down, shares, levels=[0.5], colors=style.INK, linewidths=1.1)
    sheet.add_artist(Rectangle((left, top), width, height, fill=False, edgecolor=style.GRID, linewidth=1))


def spread(heat: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map (h, w) as shares of its most, smooth over (width, height) points: float (height, width), 0 to 1."""
    fine = cv2.resize(heat.astype(np.float32) / float(heat.max()), size, interpolation=cv2.INTER_CUBIC)
    return np.clip(fine, 0, 1)
