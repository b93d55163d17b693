"""How the report's pictures look: one palette, one type family, one way of saving.

Nothing here touches matplotlib's global state but its font list, to which Hind Siliguri is added: it has Latin and
Bengali in one design. matplotlib shapes complex scripts since 3.11 (libraqm), so Bengali conjuncts come out right.
"""

import unicodedata
from functools import lru_cache
from importlib.resources import as_file, files
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.offsetbox import AnchoredOffsetbox, HPacker, TextArea
from matplotlib.text import Text
from PIL import Image

from okkhor.atomic import replacing

INK, MUTED, FAINT, GRID, SURFACE = "#1c2430", "#5f6b7a", "#a3adba", "#e6e9ee", "#ffffff"
RIGHT, WRONG = "#0072b2", "#d55e00"
# Okabe and Ito's colors, told apart in every kind of color blindness: https://jfly.uni-koeln.de/color/
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DPI = 144  # twice the CSS pixel at 72 an inch: sharp on retina screens
WIDTH = 10.0  # inches of every picture
MOST_BYTES = 480_000  # aimed at for a picture: it goes to loggers, repositories and mail
COLORS = 192  # of a picture that is too large with all of its own
_FAMILY = ("Hind Siliguri", "DejaVu Sans")  # the second, which matplotlib brings, has the arrows and accents


@lru_cache(maxsize=1)
def _families() -> list[str]:
    with as_file(files("fontpkg_hind_siliguri").joinpath("files")) as folder:
        for path in sorted(folder.glob("*.ttf")):
            fontManager.addfont(path)
    return list(_FAMILY)


@lru_cache(maxsize=1)
def _characters() -> frozenset[int]:
    """Code points that one of the two families can draw."""
    _families()
    return frozenset().union(*(get_font(findfont(FontProperties(family=name))).get_charmap() for name in _FAMILY))


def font(size: float, weight: str = "regular") -> FontProperties:
    """The report's type; size in points, weight as matplotlib names it."""
    return FontProperties(family=_families(), size=size, weight=weight)


def drawable(text: str) -> bool:
    """Whether every character of the text has a glyph here (Chinese, for example, has none)."""
    return all(ord(c) in _characters() or unicodedata.category(c) == "Cf" for c in text)


def shorten(text: str, length: int) -> str:
    """The text as it can be drawn: "?" where no glyph is, the middle left out beyond `length` characters.

    The middle, because class names often differ at either end.
    """
    text = "".join(c if drawable(c) else "?" for c in text)
    if len(text) <= length:
        return text
    head = (length - 1) * 2 // 3
    return f"{text[:head].rstrip()}…{text[len(text) - (length - 1 - head) :].lstrip()}"


def new_figure(height: float) -> Figure:
    """An empty figure, WIDTH × height inches, drawn by Agg, without pyplot."""
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor=SURFACE)
    FigureCanvasAgg(figure)
    return figure


def inches(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes placed in inches from the figure's upper left corner."""
    total_width, total_height = figure.get_size_inches()
    bottom = total_height - top - height
    return figure.add_axes(
        (left / total_width, bottom / total_height, width / total_width, height / total_height), facecolor=SURFACE
    )


def write(figure: Figure, left: float, top: float, text: str, size: float, **more: object) -> Text:
    """Text with its upper left corner at (left, top) inches from the figure's upper left corner."""
    width, height = figure.get_size_inches()
    weight = str(more.pop("weight", "regular"))
    options = {"color": INK, "va": "top", "ha": "left", "parse_math": False} | more
    return figure.text(left / width, 1 - top / height, text, fontproperties=font(size, weight), **options)


def write_fitting(
    figure: Figure, left: float, top: float, width: float, size: float, parts: list[tuple[str, str, bool]]
) -> None:
    """One line of texts in several colors, at most `width` inches wide.

    parts: text, color, and whether it may be shortened to make the line fit.
    """
    renderer = figure.canvas.get_renderer()
    for length in range(24, 2, -2):
        areas = [
            TextArea(shorten(text, length) if elastic else text, textprops=_properties(color, size))
            for text, color, elastic in parts
        ]
        line = HPacker(children=areas, align="baseline", pad=0, sep=0)
        line.set_figure(figure)
        if line.get_bbox(renderer).width <= width * DPI:
            break
    full_width, full_height = figure.get_size_inches()
    corner = (left / full_width, 1 - top / full_height)
    place = {"bbox_to_anchor": corner, "bbox_transform": figure.transFigure}
    figure.add_artist(AnchoredOffsetbox("upper left", child=line, frameon=False, pad=0, borderpad=0, **place))


def _properties(color: str, size: float) -> dict[str, object]:
    return {"color": color, "fontproperties": font(size), "parse_math": False}


def title(figure: Figure, text: str, note: str = "") -> None:
    """The finding at the top of a picture, and a muted line under it on how to read it."""
    headline = write(figure, 0.3, 0.22, text, 15, weight="bold")
    wide = headline.get_window_extent(figure.canvas.get_renderer()).width / DPI
    headline.set_fontsize(15 * min(1.0, (WIDTH - 0.6) / wide))
    if note:
        write(figure, 0.3, 0.55, note, 10, color=MUTED)


def tidy(axes: Axes, grid: str = "y") -> None:
    """Axes without box: muted ticks in the report's type, and a faint grid along `grid` ("x", "y")."""
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, colors=MUTED, pad=4)
    axes.set_axisbelow(True)
    axes.grid(axis=grid, color=GRID, linewidth=0.8)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontproperties(font(9))
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_fontproperties(font(9.5))
        label.set_color(MUTED)


def save(figure: Figure, path: Path) -> Path:
    """Write the figure as PNG, whole or not at all; in fewer grays, then colors, where scans would pass MOST_BYTES."""
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    content = _png(Image.fromarray(pixels))
    neutral = (pixels == pixels[..., :1]).all(axis=-1, keepdims=True)
    if len(content) > MOST_BYTES and neutral.mean() < 0.9:
        content = _png(Image.fromarray(pixels).quantize(COLORS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE))
    for grays in (64, 24, 8):
        if len(content) <= MOST_BYTES:
            break
        content = _png(Image.fromarray(_with_grays(pixels, neutral, grays)))
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def _png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, format="PNG", dpi=(DPI, DPI))
    return file.getvalue()


def _with_grays(pixels: np.ndarray, neutral: np.ndarray, grays: int) -> np.ndarray:
    """Pixels (H, W, 3) with neutral ones rounded to evenly spaced grays, black and white among them."""
    levels = (np.round(np.arange(256) * (grays - 1) / 255) * 255 / (grays - 1)).round().astype(np.uint8)
    return np.where(neutral, levels[pixels], pixels)
