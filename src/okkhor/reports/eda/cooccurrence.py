"""Which classes of two heads occur together: a heat map for each pair of heads."""

from itertools import combinations

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure

from okkhor.reports import style
from okkhor.reports.eda.samples import by_frequency
from okkhor.reports.eda.section import Chart, DataSet, Section

MOST_PAIRS = 6  # of heads, those with most weight first
_BLUES = LinearSegmentedColormap.from_list("images", ["#d6e9f5", "#56a5d8", style.RIGHT, "#00304d"])


def cooccurrence(data: DataSet) -> Section | None:
    """The heat maps; None of a single head, which has no other."""
    if len(data.heads) < 2:
        return None
    order = sorted(range(len(data.heads)), key=lambda k: -data.heads[k].weight)
    pairs = list(combinations(order, 2))[:MOST_PAIRS]
    maps = [_count(data, *pair) for pair in pairs]
    emptiest = int(np.argmin([(table > 0).mean() for _, _, table, *_ in maps]))
    wide, high, table, *_ = maps[emptiest]
    says = (
        f"Of the {table.size:,} pairs of {data.heads[wide].name} and {data.heads[high].name} "
        f"{(table > 0).sum():,} occur ({(table > 0).mean():.0%}): what a network has never seen together it must "
        "read head by head. Rows and columns are ordered by frequency."
    )
    return Section(
        "cooccurrence",
        "Which classes occur together",
        says,
        figure=_draw(data, maps),
        charts=[_heat_map(data, number, *found) for number, found in enumerate(maps)],
    )


Map = tuple[int, int, np.ndarray, np.ndarray, np.ndarray]


def _count(data: DataSet, one: int, other: int) -> Map:
    """The head along the width (more classes), the one along the height, images (high, wide), classes of either."""
    wide, high = (one, other) if data.heads[one].classes >= data.heads[other].classes else (other, one)
    shape = (data.heads[high].classes, data.heads[wide].classes)
    table = np.zeros(shape, np.int64)
    np.add.at(table, (data.labels[:, high], data.labels[:, wide]), 1)
    rows, columns = (by_frequency(data.labels[:, k], data.heads[k].classes)[0] for k in (high, wide))
    return wide, high, table[np.ix_(rows, columns)], rows, columns


def _heat_map(
    data: DataSet, number: int, wide: int, high: int, table: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> Chart:
    across, down = data.heads[wide], data.heads[high]
    values = np.where(table > 0, np.log10(np.maximum(table, 1)), np.nan)
    top = max(1, int(np.ceil(np.nanmax(values))))
    powers = list(range(top + 1))
    heat = {
        "type": "heatmap",
        "z": [[None if np.isnan(v) else round(float(v), 3) for v in row] for row in values],
        "customdata": table.tolist(),
        "x": [str(c) for c in columns],
        "y": [str(c) for c in rows],
        "text": [[f"{data.spelled(across, int(c))}<br>{data.spelled(down, int(r))}" for c in columns] for r in rows],
        "hovertemplate": "<b>%{text}</b><br>%{customdata:,} images<extra></extra>",
        "hoverongaps": False,
        "zmin": 0,
        "zmax": top,
        "colorscale": [[0, "#d6e9f5"], [0.45, "#56a5d8"], [0.75, "#0072b2"], [1, "#00304d"]],
        "colorbar": {
            "tickvals": powers,
            "ticktext": [f"{10**p:,}" for p in powers],
            "thickness": 10,
            "outlinewidth": 0,
        },
    }
    title = f"{across.name} (across) and {down.name} (down)"
    few = len(columns) <= 40
    names = [data.spelled(down, int(r)) for r in rows]
    along = [data.spelled(across, int(c)) for c in columns]
    ticks = {"tickvals": heat["x"], "ticktext": along} if few else {"showticklabels": False}
    bare = {"type": "category", "showgrid": False, "ticks": "", "tickfont": {"size": 15}}
    layout = {
        "xaxis": {**bare, **ticks},
        "yaxis": {**bare, "autorange": "reversed", "tickvals": heat["y"], "ticktext": names},
    }
    return Chart(f"together-{number}", [heat], layout, 110 + 20 * min(len(rows), 30), title=title)


def _draw(data: DataSet, maps: list[Map]) -> Figure:
    heights = [min(max(0.19 * len(rows), 0.8), 4.5) for _, _, _, rows, _ in maps]
    figure = style.new_figure(1.0 + sum(heights) + 0.85 * len(maps))
    style.title(figure, "Which classes occur together", "Images of each pair of classes; white: none. Both ordered by "
                "frequency, colors on one logarithmic scale.")  # fmt: skip
    most = max(int(table.max()) for _, _, table, *_ in maps)
    top = 1.0
    for (wide, high, table, rows, columns), height in zip(maps, heights, strict=True):
        across, down = data.heads[wide].name, data.heads[high].name
        heading = f"{style.shorten(across, 20)} (across) and {style.shorten(down, 20)} (down)"
        style.write(figure, 0.3, top, heading, 11.5, weight="bold")
        axes = style.inches(figure, 1.1, top + 0.35, style.WIDTH - 1.4, height)
        shown = np.ma.masked_equal(table, 0)
        axes.imshow(shown, aspect="auto", cmap=_BLUES, norm=LogNorm(1, max(2, most)), interpolation="nearest")
        style.tidy(axes)
        axes.grid(visible=False)
        if len(rows) <= 30:
            texts = [data.spelled(data.heads[high], int(r)) for r in rows]
            axes.set_yticks(range(len(rows)), [style.shorten(text, 12) for text in texts], parse_math=False)
        if len(columns) <= 24:
            texts = [data.spelled(data.heads[wide], int(c)) for c in columns]
            axes.set_xticks(range(len(columns)), [style.shorten(t, max(3, 90 // len(texts))) for t in texts],
                            parse_math=False)  # fmt: skip
        else:
            axes.set_xticks([])
        for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            label.set_fontproperties(style.font(9))
        top += height + 0.85
    return figure
