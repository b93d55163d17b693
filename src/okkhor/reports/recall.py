"""Recall of every class, worst first: as numbers, as a CSV file and as a picture."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from okkhor.atomic import replacing
from okkhor.heads import Head, Heads
from okkhor.reports import style
from okkhor.reports.naming import Naming

MOST_ROWS, MOST_HEADS = 25, 12


def recall_per_class(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Share of each class's samples that were predicted as it: (classes,) float64, nan for a class without samples.

    labels, predicted: (N,) integers from 0 to classes - 1.
    """
    count = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels[labels == predicted], minlength=classes)
    return np.divide(hits, count, out=np.full(classes, np.nan), where=count > 0)


@dataclass(frozen=True)
class HeadResult:
    """How one head did on a set: labels, predicted (N,); count, recall (classes,), recall nan for absent classes."""

    head: Head
    labels: np.ndarray
    predicted: np.ndarray
    count: np.ndarray
    recall: np.ndarray

    @classmethod
    def of(cls, head: Head, labels: np.ndarray, predicted: np.ndarray) -> "HeadResult":
        count = np.bincount(labels, minlength=head.classes)
        return cls(head, labels, predicted, count, recall_per_class(labels, predicted, head.classes))

    @property
    def hits(self) -> np.ndarray:
        """How many of each class's samples were read right, (classes,)."""
        return np.bincount(self.labels[self.labels == self.predicted], minlength=self.head.classes)

    @property
    def worst_first(self) -> np.ndarray:
        """Classes present in the set, lowest recall first; among equals the one with more samples first."""
        order = np.lexsort((-self.count, self.recall))
        return order[self.count[order] > 0]

    @property
    def absent(self) -> np.ndarray:
        return np.flatnonzero(self.count == 0)

    @property
    def absent_but_predicted(self) -> np.ndarray:
        return np.setdiff1d(self.predicted, self.labels)

    @property
    def macro(self) -> float:
        """Macro recall as scikit-learn's `recall_score` has it, over classes in labels or predictions; nan for none.

        A class that is predicted but absent counts as zero there: it took samples from others.
        """
        seen = len(self.worst_first) + len(self.absent_but_predicted)
        return float(np.nansum(self.recall) / seen) if seen else float("nan")

    def mostly_read_as(self, label: int) -> tuple[int, int] | None:
        """The wrong class that this class's samples were most often taken for, and how often; None where never."""
        wrong = self.predicted[(self.labels == label) & (self.predicted != label)]
        if not len(wrong):
            return None
        taken, times = np.unique(wrong, return_counts=True)
        return int(taken[times.argmax()]), int(times.max())


def score(results: list[HeadResult]) -> float:
    """Macro recalls averaged with the heads' weights; nan where a head has none."""
    shares = Heads(result.head for result in results).shares
    return sum(share * result.macro for share, result in zip(shares, results, strict=True))


def write_csv(results: list[HeadResult], naming: Naming, path: Path) -> Path:
    """Write head, class, name, count, recall: worst first within a head, classes absent from the set last and empty."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["head", "class", "name", "count", "recall"])
        for result in results:
            for label in (*result.worst_first, *result.absent):
                recall = f"{result.recall[label]:.4f}" if result.count[label] else ""
                rows.writerow(
                    [result.head.name, label, naming.of(result.head, label), int(result.count[label]), recall]
                )
    return path


def draw_recall(results: list[HeadResult], naming: Naming) -> Figure:
    """Bars of each head's worst classes, panels of all heads in one to three columns."""
    shown = sorted(results, key=lambda r: -r.head.weight)[:MOST_HEADS]
    most = MOST_ROWS if len(shown) <= 3 else MOST_ROWS // 2
    columns = min(2 if len(shown) <= 4 else 3, len(shown))
    row, above, below = 0.225, 0.55, 0.85  # inches: a bar, a panel's title, its axis and its list of absent classes
    heights = [min(max(len(r.worst_first), 1), most) * row + above + below for r in shown]

    tops = [0.95 if len(results) <= MOST_HEADS else 1.05] * columns
    places = []
    for height in heights:
        column = int(np.argmin(tops))
        places.append((column, tops[column]))
        tops[column] += height

    figure = style.new_figure(max(tops) + 0.05)
    style.title(figure, _finding(shown, naming), _note(results, shown))
    width = (style.WIDTH - 0.6) / columns
    for result, height, (column, top) in zip(shown, heights, places, strict=True):
        box = (0.3 + column * width, top + above, width, height - above - below)
        _draw_panel(figure, result, naming, result.worst_first[:most], box)
    return figure


def _finding(results: list[HeadResult], naming: Naming) -> str:
    main = max(results, key=lambda r: (r.head.classes, r.head.weight))
    if not len(main.worst_first):
        return "Recall per class: no image in this set"
    worst = main.worst_first[0]
    if main.recall[worst] == 1:
        return f"Recall per class: every {style.shorten(main.head.name, 16)} present was always read right"
    what = f"the hardest {style.shorten(main.head.name, 16)} is {naming.short(main.head, worst, 24)}"
    return f"Recall per class: {what}, {main.hits[worst]:,} of {main.count[worst]:,} read right"


def _note(results: list[HeadResult], shown: list[HeadResult]) -> str:
    note = (
        "Share of a class's images that were read right; beside it how many, and what the rest were mostly taken for."
    )
    left = len(results) - len(shown)
    return f"{note}\n{left} more heads of lower weight are in recall.csv." if left else note


def _draw_panel(
    figure: Figure, result: HeadResult, naming: Naming, rows: np.ndarray, box: tuple[float, float, float, float]
) -> None:
    """One head's bars; box: left, top, width, height of the bars' area in inches, the names' margin included."""
    left, top, width, height = box
    head, present, hits = result.head, len(result.worst_first), result.hits
    which = f"worst {len(rows)} of {present:,}" if len(rows) < present else f"all {present:,}"
    style.write(figure, left, top - 0.42, f"{style.shorten(head.name, 20)} recall: {which}", 11.5, weight="bold")
    if not len(rows):
        style.write(figure, left, top, "No image has a label of this head.", 9.5, color=style.MUTED)
        return

    names = [naming.short(head, label, 20) for label in rows]
    margin = min(0.2 + 0.075 * max(map(len, names)), width * 0.4)
    axes = style.inches(figure, left + margin, top, width - margin - 1.65, height)
    position = np.arange(len(rows))
    axes.barh(position, 1, height=0.62, color="#eef1f4")
    axes.barh(position, result.recall[rows], height=0.62, color=style.RIGHT)
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), xticks=[0, 0.5, 1])
    axes.set_xlabel("recall", labelpad=-1)
    axes.set_yticks(position, names, parse_math=False)
    mean = result.macro
    axes.axvline(mean, color=style.INK, linewidth=1, linestyle=(0, (2, 2)))
    axes.text(
        mean, -0.62, f"mean {mean:.3f}", fontproperties=style.font(8.5), color=style.INK, ha="center", va="bottom"
    )
    for y, label in enumerate(rows):
        note = f"{hits[label]:,} of {result.count[label]:,}"
        if taken := result.mostly_read_as(label):
            note += f"  → {naming.short(head, taken[0], 8)} ×{taken[1]}"
        axes.text(
            1.03,
            y,
            note,
            fontproperties=style.font(8.5),
            color=style.MUTED,
            va="center_baseline",
            parse_math=False,
            clip_on=False,
        )
    style.tidy(axes, grid="x")
    for label in axes.get_yticklabels():
        label.set(fontproperties=style.font(10.5), color=style.INK)

    if absent := len(result.absent):
        some = ", ".join(naming.short(head, label, 12) for label in result.absent[:6])
        more = f" and {absent - 6} more" if absent > 6 else ""
        style.write(figure, left, top + height + 0.5, f"not in this set (n/a): {some}{more}", 8.5, color=style.MUTED)
