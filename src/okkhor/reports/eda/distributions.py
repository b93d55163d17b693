"""How many images each class of each head has, and each combination of labels."""

import math

import numpy as np
from matplotlib.figure import Figure

from okkhor.reports import style
from okkhor.reports.eda.samples import by_frequency
from okkhor.reports.eda.section import Chart, DataSet, Section, counted


def distributions(data: DataSet) -> Section:
    """Bars of each head, most frequent class first; where there are several heads, a curve of the combinations."""
    counts = [by_frequency(data.labels[:, k], head.classes) for k, head in enumerate(data.heads)]
    charts = [_bars(data, k, *counts[k]) for k in range(len(data.heads))]
    table: list[list[object]] = [["head", "class", "text", "images"]]
    for head, (order, count) in zip(data.heads, counts, strict=True):
        absent = np.flatnonzero(count == 0)
        table += [[head.name, int(c), data.naming.of(head, int(c)), int(count[c])] for c in (*order, *absent)]
    ratios = [int(count[order[0]]) / int(count[order[-1]]) for order, count in counts]
    uneven = int(np.argmax(ratios))
    head, (order, count) = data.heads[uneven], counts[uneven]
    says = (
        ("" if len(data.heads) == 1 else f"The {head.name} is the most uneven head: ")
        + f"{data.spelled(head, int(order[0]))} has "
        f"{counted(int(count[order[0]]), 'image')}, "
        f"{data.spelled(head, int(order[-1]))} has {int(count[order[-1]]):,}. "
        "Macro recall counts both alike."
    )
    absent = {h.name: int((c == 0).sum()) for h, (_, c) in zip(data.heads, counts, strict=True)}
    if any(absent.values()):
        without = ", ".join(f"{number:,} of {name}" for name, number in absent.items() if number)
        says += f" Classes without a single image: {without}."
    combined, images = np.unique(data.labels, axis=0, return_counts=True)
    if len(data.heads) > 1:
        charts.append(_combinations(data, combined, images))
        possible = math.prod(head.classes for head in data.heads)
        says += (
            f" Of {possible:,} possible combinations of labels {len(combined):,} occur, "
            f"with {images.min():,} to {images.max():,} images each."
        )
    tiles = [(f"{len(order):,}", f"classes of {h.name}") for h, (order, _) in zip(data.heads, counts, strict=True)]
    tiles += [(f"{len(combined):,}", "combinations")] if len(data.heads) > 1 else []
    figure = _draw(data, counts, images if len(data.heads) > 1 else None)
    return Section("distributions", "How often each class occurs", says, figure=figure, charts=charts, tiles=tiles,
                   table=table)  # fmt: skip


def _bars(data: DataSet, k: int, order: np.ndarray, count: np.ndarray) -> Chart:
    head = data.heads[k]
    texts = [data.spelled(head, int(c)) for c in order]
    bars = {
        "type": "bar",
        "x": [str(c) for c in order],
        "y": count[order].tolist(),
        "customdata": texts,
        "marker": {"color": "--bar"},
        "hovertemplate": "<b>%{customdata}</b><br>class %{x}<br>%{y:,} images<extra></extra>",
    }
    title = f"{head.name}: {counted(len(order), 'class', 'classes')}, most frequent first"
    every = len(order) <= 40
    ticks = {"tickvals": bars["x"], "ticktext": texts} if every else {"showticklabels": False}
    layout = {
        "xaxis": {"type": "category", "showgrid": False, "tickfont": {"size": 15}, **ticks},
        "yaxis": {"title": {"text": "images"}},
    }
    return Chart(f"classes-{k}", [bars], layout, 300, log="yaxis", title=title)


def _combinations(data: DataSet, combined: np.ndarray, images: np.ndarray) -> Chart:
    order = np.argsort(-images, kind="stable")
    title = f"{counted(len(order), 'combination')} of labels, most frequent first"
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": list(range(1, len(order) + 1)),
        "y": images[order].tolist(),
        "customdata": [data.whole(labels) for labels in combined[order]],
        "line": {"color": "--bar", "width": 1.5},
        "marker": {"color": "--bar", "size": 4},
        "hovertemplate": "<b>%{customdata}</b><br>rank %{x}<br>%{y:,} images<extra></extra>",
    }
    layout = {
        "xaxis": {"title": {"text": "rank"}},
        "yaxis": {"title": {"text": "images"}, "rangemode": "tozero"},
    }
    return Chart("combinations", [line], layout, 300, log="yaxis", title=title)


def _draw(data: DataSet, counts: list[tuple[np.ndarray, np.ndarray]], combinations: np.ndarray | None) -> Figure:
    panels = [(head.name, count[order]) for head, (order, count) in zip(data.heads, counts, strict=True)]
    names = [[data.spelled(head, int(c)) for c in order] for head, (order, _) in zip(data.heads, counts, strict=True)]
    if combinations is not None:
        panels.append(("combinations of labels", np.sort(combinations)[::-1]))
        names.append([])
    step = 2.6
    figure = style.new_figure(1.0 + step * len(panels))
    style.title(
        figure, "How often each class occurs", "Images of each class, most frequent first, on logarithmic scales."
    )
    for place, ((name, values), texts) in enumerate(zip(panels, names, strict=True)):
        top = 1.0 + step * place
        style.write(figure, 0.3, top, f"{style.shorten(name, 30)}: {len(values):,}", 11.5, weight="bold")
        axes = style.inches(figure, 1.0, top + 0.35, style.WIDTH - 1.3, step - 0.95)
        places = np.arange(1, len(values) + 1)
        if texts:
            axes.bar(places, values, width=0.8, color=style.RIGHT)
        else:
            axes.plot(places, values, color=style.RIGHT, linewidth=1.5)
        axes.set(yscale="log", xlim=(0.2, len(values) + 0.8), ylim=(max(0.7, values.min() / 2), values.max() * 1.5))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else "")
        axes.minorticks_off()
        axes.set_ylabel("images")
        if texts and len(texts) <= 40:
            shown = [text if style.drawable(text) else str(k) for k, text in enumerate(texts)]
            axes.set_xticks(
                places, [style.shorten(text, max(3, 120 // len(texts))) for text in shown], parse_math=False
            )
        else:
            axes.set_xlabel("rank")
        style.tidy(axes)
    return figure
