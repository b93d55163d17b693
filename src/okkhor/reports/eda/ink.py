"""How much ink the images have, where it lies and how large it is; images without any."""

from html import escape

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from okkhor.data.resize import BORDER, STRIDE
from okkhor.reports import style
from okkhor.reports.eda.measuring import Measures
from okkhor.reports.eda.section import DataSet, Section, counted
from okkhor.reports.eda.thumbnails import pictures

EACH = 12  # images of each kind of extreme
_INK = LinearSegmentedColormap.from_list("ink", ["#ffffff", "#9cc8e4", style.RIGHT, "#00243a"])


def ink(data: DataSet, found: Measures) -> Section:
    """Histograms, the map of where ink lies, and the images at either end."""
    written = np.flatnonzero(~found.blank)
    blank = np.flatnonzero(found.blank)
    height, width = data.store.size
    body = [_gallery(data, "Blank: no ink stands out from the paper", blank[:EACH], len(blank))]
    if not len(written):
        return Section(
            "ink", "Ink and size", "No image has any ink.", "".join(body), tiles=[(f"{len(blank):,}", "blank")]
        )
    box = found.box[written]
    tall, broad = (box[:, 2] - box[:, 0]) / height, (box[:, 3] - box[:, 1]) / width
    rim = STRIDE * BORDER  # where ink is not looked for, as scans have dark edges
    edges = (box[:, :2] <= rim).any(axis=1) | (box[:, 2] > height - rim - STRIDE) | (box[:, 3] > width - rim - STRIDE)
    for heading, values in (
        ("Least ink", found.ink[written]),
        ("Most ink", -found.ink[written]),
        ("Smallest", tall * broad),
        ("Faintest", found.paper[written] - found.pen[written]),
    ):
        body.append(_gallery(data, heading, written[np.argsort(values, kind="stable")[:EACH]]))
    says = (
        f"Half of the images have between {np.quantile(found.ink[written], 0.25):.1%} and "
        f"{np.quantile(found.ink[written], 0.75):.1%} of their pixels in ink, in a box of {np.median(tall):.0%} of the "
        f"height and {np.median(broad):.0%} of the width (medians). "
        f"{counted(len(blank), 'image is', 'images are')} blank; in {edges.mean():.1%} ink comes "
        f"within {rim + STRIDE} pixels of the edge."
    )
    headline = f"Half of the images have ink on less than {np.median(found.ink[written]):.1%} of their pixels"
    figure = _draw(headline, found, written, tall, broad)
    return Section("ink", "Ink and size", says, "".join(body), figure, tiles=[(f"{len(blank):,}", "blank images")])


def _gallery(data: DataSet, heading: str, rows: np.ndarray, total: int | None = None) -> str:
    if not len(rows):
        return ""
    of = f" ({len(rows)} of {total:,})" if total and total > len(rows) else ""
    says = [f"{data.whole(data.labels[row])}, {data.store.image_ids[row]}" for row in rows]
    return f'<h3>{escape(heading)}{of}</h3><div class="pictures many">{pictures(data.images[rows], says)}</div>'


def _draw(headline: str, found: Measures, written: np.ndarray, tall: np.ndarray, broad: np.ndarray) -> Figure:
    figure = style.new_figure(5.6)
    style.title(figure, headline, "By Otsu's threshold on every third pixel; the box is what training cuts to.")
    column, panel = 2.95, 1.45
    histograms = (
        ("share of pixels that are ink", found.ink[written]),
        ("gray level of the paper", found.paper[written]),
        ("gray level of the ink", found.pen[written]),
        ("height of the ink's box, share", tall),
        ("width of the ink's box, share", broad),
    )
    for place, (name, values) in enumerate(histograms):
        left, top = 0.45 + (column + 0.2) * (place % 3), 1.0 + 2.3 * (place // 3)
        style.write(figure, left - 0.15, top, name, 10.5, weight="bold")
        axes = style.inches(figure, left, top + 0.35, column - 0.35, panel)
        low, high = np.quantile(values, [0.001, 0.999])
        axes.hist(np.clip(values, low, high), bins=_bins(np.clip(values, low, high)), color=style.RIGHT)
        axes.axvline(float(np.median(values)), color=style.INK, linewidth=1, linestyle=(0, (2, 2)))
        axes.set_yticks([])
        style.tidy(axes, grid="x")
    left, top = 0.45 + (column + 0.2) * 2, 3.3
    style.write(figure, left - 0.15, top, "where ink lies, all images together", 10.5, weight="bold")
    scale = min((column - 0.35) / found.where.shape[1], (panel + 0.25) / found.where.shape[0])
    axes = style.inches(figure, left, top + 0.35, found.where.shape[1] * scale, found.where.shape[0] * scale)
    axes.imshow(found.where, cmap=_INK, vmin=0, interpolation="bilinear", aspect="auto")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color(style.GRID)
    return figure


def _bins(values: np.ndarray) -> np.ndarray:
    """Edges of bars: one around each value where these go in steps, as the box does, else fifty in all."""
    steps = np.unique(values)
    if not 1 < len(steps) <= 90:
        return np.linspace(values.min(), values.max() + 1e-6, 51)
    between = (steps[1:] + steps[:-1]) / 2
    return np.concatenate([[2 * steps[0] - between[0]], between, [2 * steps[-1] - between[-1]]])
