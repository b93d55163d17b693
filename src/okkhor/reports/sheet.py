"""Many small images on one figure: a sheet in inches, and pictures in frames on it."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from okkhor.reports import style


def bare_sheet(figure: Figure) -> Axes:
    """Bare axes over the whole figure, in inches from its upper left corner: one for all images is quick to draw."""
    width, height = figure.get_size_inches()
    axes = style.inches(figure, 0, 0, width, height)
    axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    axes.set_axis_off()
    return axes


def draw_picture(sheet: Axes, picture: np.ndarray, box: tuple[float, float, float, float]) -> None:
    """The picture (H, W) in the middle of a frame; box: the frame's left, top, width, height in inches."""
    left, top, width, height = box
    scale = min(width / picture.shape[1], height / picture.shape[0])
    x, y = (width - picture.shape[1] * scale) / 2, (height - picture.shape[0] * scale) / 2
    sheet.add_artist(Rectangle((left, top), width, height, facecolor="#f4f5f7", linewidth=0, zorder=-1))
    extent = (left + x, left + width - x, top + height - y, top + y)
    sheet.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="lanczos", aspect="auto", extent=extent)
    sheet.add_artist(Rectangle((left, top), width, height, fill=False, edgecolor=style.GRID, linewidth=1))
