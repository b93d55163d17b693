"""Which classes are taken for which: the head with most classes, its most confused classes only."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from okkhor.reports import style
from okkhor.reports.naming import Naming
from okkhor.reports.recall import HeadResult

MOST = 20
# Added to a class's count before dividing: one mistake among one image is a weaker sign than 30 among 50.
PRIOR = 10
_MISTAKES = LinearSegmentedColormap.from_list("mistakes", ["#fdeee3", "#f4a874", style.WRONG, "#8a3b00"])


def most_confused(result: HeadResult, most: int = MOST) -> np.ndarray:
    """Classes of the most confused pairs, (at most `most`,), in an order that keeps partners side by side.

    A pair counts by the shares of either class that are taken for the other, which is what it costs in macro recall.
    """
    wrong = result.labels != result.predicted
    pairs, times = np.unique(np.stack([result.labels[wrong], result.predicted[wrong]], 1), axis=0, return_counts=True)
    strength: dict[tuple[int, int], float] = {}
    for (truth, answer), count in zip(pairs.tolist(), times.tolist(), strict=True):
        pair = (min(truth, answer), max(truth, answer))
        strength[pair] = strength.get(pair, 0.0) + count / (int(result.count[truth]) + PRIOR)

    order: list[int] = []
    for pair in sorted(strength, key=lambda p: (-strength[p], p)):
        new = [label for label in pair if label not in order]
        if len(order) + len(new) > most:
            continue
        if len(new) == 1:
            partner = pair[0] if new[0] == pair[1] else pair[1]
            order.insert(order.index(partner) + 1, new[0])
        else:
            order.extend(new)
        if len(order) == most:
            break
    return np.array(order, dtype=np.int64)


def confusion_shares(result: HeadResult, classes: np.ndarray) -> np.ndarray:
    """Share of each class's samples predicted as each, (n, n + 1): the last column is every class not listed.

    Rows sum to 1; a class without samples has a row of nan.
    """
    place = np.full(result.head.classes, len(classes))
    place[classes] = np.arange(len(classes))
    counts = np.zeros((len(classes), len(classes) + 1))
    listed = place[result.labels] < len(classes)
    np.add.at(counts, (place[result.labels[listed]], place[result.predicted[listed]]), 1)
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)


def draw_confusion(results: list[HeadResult], naming: Naming) -> Figure:
    """Heat map: truth down, prediction across, each cell the share of the truth's images in percent."""
    result = max(results, key=lambda r: (r.head.classes, r.head.weight))
    head, classes = result.head, most_confused(result)
    n = len(classes)
    if not n:
        figure = style.new_figure(1.3)
        style.title(
            figure,
            f"No {style.shorten(head.name, 16)} confused",
            "No image of this set was given a wrong class of this head.",
        )
        return figure

    names = [naming.short(head, label, 22) for label in classes]
    longest = max(map(len, names))
    upright = longest > 5
    shares = confusion_shares(result, classes)
    edges = np.arange(n + 1.0)  # of the columns; "other" stands a little apart, where there are others
    lefts = np.append(edges[:-1], n + 0.3) if n < head.classes else edges[:-1]
    across = lefts[-1] + 1
    margin = 0.5 + 0.075 * longest
    cell = min((style.WIDTH - 0.6 - margin) / across, 0.5 if n > 8 else 0.7)
    above = 1.2 + (0.075 * longest if upright else 0.2)
    figure = style.new_figure(above + cell * n + 0.4)
    style.title(figure, _finding(result, shares, classes, names), _note(result, n))
    axes = style.inches(figure, 0.3 + margin, above, cell * across, cell * n)
    axes.set(xlim=(0, across), ylim=(n, 0), xlabel="prediction", ylabel="truth")
    axes.set_xticks(lefts + 0.5, [*names, "other"][: len(lefts)], parse_math=False)
    axes.set_yticks(edges[:-1] + 0.5, names, parse_math=False)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    style.tidy(axes)
    axes.grid(visible=False)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set(fontproperties=style.font(min(11, cell * 26)), color=style.INK)
    if upright:
        for label in axes.get_xticklabels():
            label.set(rotation=90)
    for row, column in np.ndindex(n, len(lefts)):
        _draw_cell(axes, shares[row, column], row == column, (lefts[column], row), min(8.5, cell * 21))
    return figure


def _draw_cell(axes: Axes, share: float, right: bool, corner: tuple[float, float], size: float) -> None:
    """One cell, 1 × 1 from its corner; share is nan in the row of a class without samples."""
    text, ink = "<1" if 0 < share < 0.005 else f"{share * 100:.0f}", style.INK
    if np.isnan(share):
        text, color, ink = "n/a" if right else "", style.SURFACE, style.FAINT
    elif right:
        color = "#dfe4ea"
    elif share == 0:
        text, color = "", "#f6f7f9"
    else:
        color = _MISTAKES(min(share / 0.5, 1.0))
        ink = style.SURFACE if share > 0.3 else style.INK
    left, top = corner
    axes.add_artist(Rectangle((left + 0.03, top + 0.03), 0.94, 0.94, facecolor=color, linewidth=0))
    if text:
        kind = style.font(size)
        axes.text(left + 0.5, top + 0.5, text, fontproperties=kind, color=ink, ha="center", va="center_baseline")


def _finding(result: HeadResult, shares: np.ndarray, classes: np.ndarray, names: list[str]) -> str:
    count = result.count[classes]
    seen = np.nan_to_num(shares[:, :-1]) * (count / (count + PRIOR))[:, None]
    np.fill_diagonal(seen, 0)
    truth, answer = np.unravel_index(seen.argmax(), seen.shape)
    times = round(float(shares[truth, answer]) * int(count[truth]))
    what = f"{names[truth]} is taken for {names[answer]} in {times:,} of {count[truth]:,} images"
    return f"Most confused {style.shorten(result.head.name, 16)}: {what}"


def _note(result: HeadResult, n: int) -> str:
    of = f"The {n} most confused of {result.head.classes:,} classes" if n < result.head.classes else f"All {n} classes"
    return f"{of}. Cells: percent of the truth's images given each prediction; gray: read right."
