"""What changed class by class between two runs: the classes that gained most, and those that lost most."""

import numpy as np
from matplotlib.figure import Figure

from okkhor.reports import style
from okkhor.reports.comparison.standing import Standing
from okkhor.reports.confusion import PRIOR
from okkhor.reports.naming import Naming
from okkhor.reports.recall import HeadResult

MOST_ROWS, MOST_HEADS = 20, 6
_ROW = 0.225  # inches


def most_changed(ours: HeadResult, theirs: HeadResult, most: int = MOST_ROWS) -> np.ndarray:
    """The classes whose recall changed most, most gained first: half gained and half lost, where there are.

    ours, theirs: on the same images. Which ones are taken: a change of one image among one is a weaker sign than of 20
    among 40, so the count is raised by PRIOR before dividing.
    """
    change = ours.hits - theirs.hits
    sign = change / (ours.count + PRIOR)
    order = np.argsort(-sign, kind="stable")
    gained, lost = order[change[order] > 0], order[change[order] < 0]
    half = most // 2
    up = min(len(gained), max(half, most - len(lost)))
    down = min(len(lost), most - up)
    taken = np.concatenate([gained[:up], lost[len(lost) - down :]])
    return taken[np.argsort(-change[taken] / ours.count[taken], kind="stable")]


def draw_changes(rival: Standing, reference: Standing, naming: Naming) -> Figure:
    """Bars of the change in recall, in points, heads in two columns."""
    pairs = list(zip(rival.results, reference.results, strict=True))
    pairs = sorted(pairs, key=lambda pair: -pair[0].head.weight)[:MOST_HEADS]
    rows = [most_changed(*pair) for pair in pairs]
    heights = [0.6 + _ROW * max(len(classes), 1) + 0.5 for classes in rows]
    columns = min(2, len(pairs))
    tops = [1.0] * columns
    places = []
    for height in heights:
        column = int(np.argmin(tops))
        places.append((column, tops[column]))
        tops[column] += height
    figure = style.new_figure(max(tops))
    ours, theirs = (style.shorten(standing.name, 20) for standing in (rival, reference))
    style.title(
        figure,
        f"From {theirs} to {ours}: {_finding(pairs, rows, naming)}",
        f"Change of recall in points, and of how many of the class's images; blue: {ours} reads more of them right.",
    )
    wide = (style.WIDTH - 0.4) / columns
    for pair, classes, (column, top) in zip(pairs, rows, places, strict=True):
        _draw_panel(figure, *pair, classes, naming, (0.3 + column * wide, top, wide))
    return figure


def _finding(pairs: list[tuple[HeadResult, HeadResult]], rows: list[np.ndarray], naming: Naming) -> str:
    (ours, theirs), classes = max(zip(pairs, rows, strict=True), key=lambda of: of[0][0].head.classes)
    change = ours.hits - theirs.hits
    head = style.shorten(ours.head.name, 16)
    said = f"{(change > 0).sum()} classes of {head} gain and {(change < 0).sum()} lose"
    if not len(classes):
        return f"no class of {head} gains or loses"
    sign = np.abs(change[classes]) / (ours.count[classes] + PRIOR)
    label = classes[sign.argmax()]
    name = naming.short(ours.head, int(label), 16)
    return f"{said}, most of all {name} ({change[label]:+d} of {ours.count[label]} images)"


def _draw_panel(
    figure: Figure,
    ours: HeadResult,
    theirs: HeadResult,
    classes: np.ndarray,
    naming: Naming,
    box: tuple[float, float, float],
) -> None:
    """One head; box: left, top, width in inches."""
    left, top, width = box
    change = ours.hits - theirs.hits
    changed = int((change != 0).sum())
    which = f"{len(classes)} of {changed} classes that changed" if len(classes) < changed else f"{changed} classes"
    style.write(figure, left, top + 0.1, f"{style.shorten(ours.head.name, 16)}: {which}", 11.5, weight="bold")
    if not len(classes):
        style.write(figure, left, top + 0.5, "Every class has as many right answers as before.", 9.5, color=style.MUTED)
        return
    names = [naming.short(ours.head, int(label), 14) for label in classes]
    margin = min(0.25 + 0.08 * max(map(len, names)), width * 0.35)
    axes = style.inches(figure, left + margin, top + 0.45, width - margin - 1.35, _ROW * len(classes))
    points = 100 * change[classes] / np.maximum(ours.count[classes], 1)
    axes.barh(
        np.arange(len(classes)), points, height=0.62, color=[style.RIGHT if p > 0 else style.WRONG for p in points]
    )
    axes.axvline(0, color=style.MUTED, linewidth=1)
    most = max(float(np.abs(points).max()), 1.0) * 1.05
    axes.set(xlim=(-most, most), ylim=(len(classes) - 0.5, -0.5))
    axes.set_yticks(np.arange(len(classes)), names, parse_math=False)
    axes.set_xlabel("points of recall", labelpad=-1)
    for row, label in enumerate(classes):
        text = f"{change[label]:+d} of {ours.count[label]:,}"
        axes.text(
            1.03, row, text, transform=axes.get_yaxis_transform(), va="center_baseline", color=style.MUTED,
            fontproperties=style.font(8.5),
        )  # fmt: skip
    style.tidy(axes, grid="x")
    for label in axes.get_yticklabels():
        label.set(fontproperties=style.font(10.5), color=style.INK)
