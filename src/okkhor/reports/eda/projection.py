"""A network's features of images on a plane: what lies close looks alike to it (t-SNE).

van der Maaten, Hinton (2008), https://jmlr.org/papers/v9/vandermaaten08a.html
"""

from base64 import b64encode
from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.figure import Figure

from okkhor.heads import Head
from okkhor.reports import style
from okkhor.reports.eda.opinions import Opinions
from okkhor.reports.eda.samples import by_frequency
from okkhor.reports.eda.section import Chart, DataSet, Section, counted

COLORS = (*style.SERIES, "#8c564b", "#7f3c8d", "#11a579", "#e73f74", "#80ba5a", "#3969ac")
OTHER = "#a3adba"  # of classes beyond the twelve most frequent
PERPLEXITY = 30
TILE, ACROSS = (36, 62), 40  # height, width of an image shown at the pointer, and how many stand in a row of the sheet


@dataclass(frozen=True)
class Sheet:
    """Small images in one picture: its data URI, width and height of each, how many in a row."""

    uri: str
    width: int
    height: int
    across: int


def place(features: np.ndarray, seed: int) -> np.ndarray:
    """Features (m, C) on a plane, (m, 2), centered, at most 1 from the middle; of fewer than five images a circle."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    count = len(features)
    if count < 5:
        turn = 2 * np.pi * np.arange(count) / max(1, count)
        return np.stack([np.cos(turn), np.sin(turn)], axis=1)
    scaled = (features - features.mean(axis=0)) / (features.std() + 1e-6)
    few = PCA(min(40, *scaled.shape), random_state=seed).fit_transform(scaled)
    perplexity = min(PERPLEXITY, (count - 1) / 3)
    plane = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(few)
    plane = plane - (plane.max(axis=0) + plane.min(axis=0)) / 2
    return plane / np.abs(plane).max()


def projection(data: DataSet, opinions: Opinions) -> tuple[Section, Sheet]:
    """The plane in the colors of each head's classes, and the images that appear at the pointer."""
    count = len(opinions.features)
    rows = opinions.rows[:count]
    plane = place(opinions.features, data.seed)
    says = (
        f"{counted(count, 'image')}, placed by the features of {opinions.run} (t-SNE): what lies close looks alike "
        "to the network. A point inside another class's cloud is worth a look. Colors are the most frequent classes."
    )
    charts = [_scatter(data, k, head, rows, plane) for k, head in enumerate(data.heads)]
    figure = _draw(data, rows, plane)
    section = Section("projection", "What the network takes for alike", says, figure=figure, charts=charts,
                      tabs=len(charts) > 1)  # fmt: skip
    return section, _sheet(data, rows)


def _groups(data: DataSet, k: int, head: Head, rows: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    """Text, color and places among the rows: of the most frequent classes each, and of the others together first."""
    labels = data.labels[rows, k]
    order, _ = by_frequency(labels, head.classes)
    listed = order[: len(COLORS)]
    rest = np.flatnonzero(~np.isin(labels, listed))
    groups = [("others", OTHER, rest)] if len(rest) else []
    return groups + [
        (data.spelled(head, int(c)), color, np.flatnonzero(labels == c))
        for c, color in zip(listed, COLORS, strict=False)
    ]


def _scatter(data: DataSet, k: int, head: Head, rows: np.ndarray, plane: np.ndarray) -> Chart:
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": text,
            "x": plane[at, 0].round(4).tolist(),
            "y": plane[at, 1].round(4).tolist(),
            "customdata": at.tolist(),
            "text": [data.whole(data.labels[row]) for row in rows[at]],
            "marker": {"color": color, "size": 6, "opacity": 0.45 if color == OTHER else 0.9},
            "hovertemplate": "<b>%{text}</b><extra></extra>",
        }
        for text, color, at in _groups(data, k, head, rows)
    ]
    bare = {"showgrid": False, "zeroline": False, "showticklabels": False, "range": [-1.05, 1.05]}
    layout = {
        "xaxis": bare,
        "yaxis": bare,
        "showlegend": True,
        "legend": {"orientation": "h", "y": -0.02, "itemsizing": "constant"},
        "hovermode": "closest",
    }
    return Chart(f"plane-{k}", traces, layout, 620, title=f"by {head.name}", pictured=True)


def _draw(data: DataSet, rows: np.ndarray, plane: np.ndarray) -> Figure:
    shown = sorted(range(len(data.heads)), key=lambda k: -data.heads[k].weight)[:2]
    side = 4.55
    figure = style.new_figure(side + 2.0)
    note = "Its features of images on a plane (t-SNE), in the colors of the most frequent classes."
    style.title(figure, "What the network takes for alike", note)
    for column, k in enumerate(shown):
        left = 0.3 + column * (side + 0.3)
        style.write(figure, left, 0.95, f"by {style.shorten(data.heads[k].name, 30)}", 11.5, weight="bold")
        axes = style.inches(figure, left, 1.25, side, side)
        axes.set_axis_off()
        axes.set(xlim=(-1.03, 1.03), ylim=(-1.03, 1.03))
        x = left
        for text, color, at in _groups(data, k, data.heads[k], rows):
            axes.plot(plane[at, 0], plane[at, 1], "o", markersize=2.6, markeredgewidth=0, color=color,
                      alpha=0.4 if color == OTHER else 0.9)  # fmt: skip
            style.write(figure, x, 1.3 + side, "●", 8, color=color)
            written = style.write(figure, x + 0.13, 1.28 + side, style.shorten(text, 8), 9.5, color=style.MUTED)
            wide = written.get_window_extent(figure.canvas.get_renderer()).width / style.DPI
            x += wide + 0.22
            if x > left + side - 0.2:
                break
    return figure


def _sheet(data: DataSet, rows: np.ndarray) -> Sheet:
    height, width = data.store.size
    scale = min(TILE[0] / height, TILE[1] / width)
    high, wide = max(1, round(height * scale)), max(1, round(width * scale))
    across = min(ACROSS, max(1, len(rows)))
    sheet = np.full((-(-len(rows) // across) * high, across * wide), 255, np.uint8)
    for start in range(0, len(rows), 256):
        for k, image in enumerate(data.images[rows[start : start + 256]], start):
            top, left = k // across * high, k % across * wide
            sheet[top : top + high, left : left + wide] = cv2.resize(image, (wide, high), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".webp", sheet, [cv2.IMWRITE_WEBP_QUALITY, 45])
    return Sheet("data:image/webp;base64," + b64encode(encoded.tobytes()).decode(), wide, high, across)
