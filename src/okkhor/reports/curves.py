"""Learning curves from Lightning's metrics.csv: loss, score and recall per head, learning rate."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from okkhor.heads import Heads
from okkhor.reports import style

Curve = tuple[np.ndarray, np.ndarray]  # x (n,), y (n,)
MANY = 200  # points from which a curve is drawn thin, with its running mean over it


def read_metrics(path: Path) -> dict[str, Curve]:
    """Every metric as (steps, values), steps ascending; empty where there is no file.

    Cells that are empty or no number are left out. Where a resumed run did a step again, the later row counts; a
    header row that comes again, as a file appended to may hold, starts a new order of columns.
    """
    if not path.is_file():
        return {}
    found: dict[str, dict[int, float]] = {}
    header: list[str] = []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        for row in csv.reader(line.replace("\0", "") for line in file):
            if "step" in row:
                header = row
                continue
            cells = dict(zip(header, row, strict=False))
            step = _number(cells.pop("step", ""))
            if step is None:
                continue
            for name, cell in cells.items():
                if (value := _number(cell)) is not None:
                    found.setdefault(name, {})[int(step)] = value
    return {
        name: (np.array(sorted(points)), np.array([points[step] for step in sorted(points)]))
        for name, points in found.items()
    }


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def steps_per_epoch(metrics: dict[str, Curve]) -> float | None:
    """Optimizer steps in an epoch, from the steps at which validation was logged; None where none was."""
    if "epoch" not in metrics:
        return None
    epochs = dict(zip(*metrics["epoch"], strict=True))
    steps, _ = metrics.get("val/score", metrics.get("val/loss", (np.array([]), None)))
    ends = [(int(epochs[step]), int(step)) for step in steps if step in epochs]
    return (ends[-1][1] + 1) / (ends[-1][0] + 1) if ends else None


@dataclass(frozen=True)
class Line:
    """A curve with its looks: x, y (n,); label at its end, color, width in points."""

    x: np.ndarray
    y: np.ndarray
    label: str
    color: str
    width: float


def draw_curves(metrics: dict[str, Curve], heads: Heads, *, by_neighbors: bool = False) -> Figure | None:
    """Loss over learning rate on the left, score and recall per head on the right; None where none was logged.

    by_neighbors: the scores are those of a pretraining, `val/knn_…`.
    """
    if by_neighbors:
        metrics = {name.replace("val/knn_", "val/"): curve for name, curve in metrics.items()}
    per_epoch = steps_per_epoch(metrics)

    def lines(*wanted: tuple[str, str, str, float]) -> list[Line]:
        return [
            Line((metrics[name][0] + 1) / per_epoch if per_epoch else metrics[name][0], metrics[name][1], *look)
            for name, *look in wanted
            if name in metrics
        ]

    losses = lines(("train/loss", "train", style.FAINT, 1.6), ("val/loss", "validation", style.RIGHT, 2.2))
    shown = heads[: len(style.SERIES)] if len(heads) > 1 else ()  # a single head's recall is the score
    scores = lines(
        ("train/score", "score, train", style.FAINT, 1.6),
        *((f"val/recall_{h.name}", h.name, color, 1.6) for h, color in zip(shown, style.SERIES, strict=False)),
        ("val/score", "score", style.INK, 2.4),
    )
    rates = lines(*((name, "", style.MUTED, 1.6) for name in sorted(metrics) if name == "lr" or name.startswith("lr-")))
    if not losses and not scores:
        return None

    figure = style.new_figure(4.8)
    style.title(figure, *_finding(metrics, per_epoch, "Score by neighbors" if by_neighbors else "Validation score"))
    unit = "epoch" if per_epoch else "step"
    last = max(float(line.x[-1]) for line in losses + scores)
    limits = (0, max(last, 1))
    left = style.inches(figure, 0.75, 1.25, 3.2, 2.05 if rates else 3.0)
    draw_lines(left, losses, "loss" if by_neighbors else "loss (nats)", limits, span(losses))
    right = style.inches(figure, 5.45, 1.25, 3.1, 3.0)
    draw_lines(right, scores, "macro recall", limits, (span(scores, 0.1)[0], 1.0))
    bottom = [left, right]
    if rates:
        below = style.inches(figure, 0.75, 3.7, 3.2, 0.55)
        draw_lines(below, rates[:1], "learning rate", limits, (0, span(rates[:1])[1]))
        below.yaxis.set_major_locator(MaxNLocator(2))
        bottom[0] = below
        left.tick_params(labelbottom=False)
    for axes in bottom:
        axes.set_xlabel(unit, labelpad=-1)
    if "val/score" in metrics:
        _mark_best(right, scores[-1])
    return figure


def _finding(metrics: dict[str, Curve], per_epoch: float | None, name: str = "Validation score") -> tuple[str, str]:
    """Title and note: the best validation score and when it was reached; name: what the score is called."""
    if "val/score" not in metrics:
        return "Learning curves", "No validation score was logged."
    steps, scores = metrics["val/score"]
    best = int(scores.argmax())
    if not per_epoch:
        return f"{name} {scores[best]:.3f}, reached at step {int(steps[best]):,}", ""
    at, last = (round((int(steps[k]) + 1) / per_epoch) for k in (best, -1))
    when = "in the last epoch" if at == last else f"in epoch {at} of {last}"
    note = f"{round(per_epoch):,} optimizer steps an epoch. Train values are taken while training, on augmented images."
    return f"{name} {scores[best]:.3f}, reached {when}", note


def span(lines: list[Line], grain: float = 0.0) -> tuple[float, float]:
    """Limits of y with a margin: down to a multiple of `grain`, or to 0 where that is near."""
    if not lines:
        return 0.0, 1.0
    low, high = (float(f([f(line.y) for line in lines])) for f in (np.min, np.max))
    if grain:
        return max(math.floor(low / grain) * grain, 0.0), high
    return (0.0 if 0 <= low < 0.4 * high else low - 0.05 * abs(high - low)), high + 0.05 * (abs(high) or 1)


def draw_lines(axes: Axes, lines: list[Line], name: str, across: tuple[float, float], up: tuple[float, float]) -> None:
    """Draw lines named at their ends; across, up: the limits of x and y."""
    axes.set_title(name, loc="left", fontproperties=style.font(11.5, "bold"), color=style.INK, pad=4)
    axes.set(xlim=across, ylim=up if up[1] > up[0] else (up[0], up[0] + 1))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    style.tidy(axes)
    if not lines:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "not logged", transform=axes.transAxes, ha="center", fontproperties=style.font(9.5))
    for line in lines:
        x, y = line.x, line.y
        if len(x) > MANY:
            axes.plot(x, y, color=line.color, linewidth=0.6, alpha=0.4)
            x, y = (np.array([part.mean() for part in np.array_split(a, MANY // 4)]) for a in (x, y))
        marker = "o" if len(x) == 1 else ""
        axes.plot(x, y, color=line.color, linewidth=line.width, marker=marker, markersize=4, clip_on=False)
    _label_ends(axes, [line for line in lines if line.label])


def _label_ends(axes: Axes, lines: list[Line]) -> None:
    """Name the curves beside their right ends, moved apart where the names would touch."""
    low, high = axes.get_ylim()
    apart = 0.17 / (axes.get_position().height * axes.get_figure().get_size_inches()[1])  # a line of text
    order = sorted(lines, key=lambda line: float(line.y[-1]))
    places: list[float] = []
    for line in order:
        wanted = (float(line.y[-1]) - low) / (high - low)
        places.append(max(wanted, places[-1] + apart) if places else wanted)
    over = max(places[-1] - 1.0, 0.0) if places else 0.0
    for k in reversed(range(len(places))):  # what was pushed over the top comes back down
        ceiling = 1.0 if k == len(places) - 1 else places[k + 1] - apart
        places[k] = min(places[k], ceiling) if over else places[k]
    for line, place in zip(order, places, strict=True):
        color = style.MUTED if line.color == style.FAINT else line.color
        weight = "bold" if line.width > 2 else "regular"
        label = f"{style.shorten(line.label, 14)} {line.y[-1]:.3f}"
        axes.text(
            1.03, place, label, transform=axes.transAxes, color=color, va="center_baseline",
            fontproperties=style.font(9.5, weight), parse_math=False,
        )  # fmt: skip


def _mark_best(axes: Axes, line: Line) -> None:
    best = int(line.y.argmax())
    axes.plot(
        line.x[best], line.y[best], "o", markersize=7, markerfacecolor=style.SURFACE, markeredgecolor=line.color,
        markeredgewidth=2, clip_on=False, zorder=5,
    )  # fmt: skip
