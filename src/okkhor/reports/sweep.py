"""The picture of a sweep: each job's score over its number, and parallel coordinates of what was varied."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from okkhor.reports import style
from okkhor.reports.reading import read_value, short_names

MOST_AXES = 7  # options that fit beside each other
MOST_CHOICES = 14  # names that fit above each other; beyond, only numbers are drawn to scale
LOW, HIGH = "#c9d6e2", style.RIGHT  # of the worst and the best job's line
SHADES = LinearSegmentedColormap.from_list("okkhor-sweep", [LOW, "#6fa8cf", HIGH])
BEST = style.WRONG
MARKS = {"failed": ("x", style.WRONG), "pruned": ("v", style.FAINT), "stopped": ("s", style.FAINT)}  # without a score


@dataclass(frozen=True)
class Point:
    """A job: what was varied, as option -> value as typed; its score, or None and the status that tells why."""

    number: int
    varied: dict[str, str]
    score: float | None
    status: str


@dataclass(frozen=True)
class Scale:
    """A vertical axis: name; heights 0 to 1 of each job's value; labels: height and text of the ticks."""

    name: str
    heights: list[float]
    labels: list[tuple[float, str]]
    names: bool = False  # choices, not numbers: jobs that share one lie on one spot


def draw_sweep(points: Sequence[Point], objective: str, *, maximize: bool = True) -> Figure:
    """One sweep of at least one job. objective: what the score is called; maximize: whether more is better."""
    points = sorted(points, key=lambda point: point.number)
    scored = [point for point in points if point.score is not None and math.isfinite(point.score)]
    best = (max if maximize else min)(scored, key=lambda point: point.score, default=None)
    keys = list(dict.fromkeys(key for point in points for key in point.varied))
    varied = [key for key in keys if len({point.varied[key] for point in points}) > 1]
    names = dict(zip(varied, short_names(varied), strict=True))
    shown = varied[:MOST_AXES] if len(scored) > 1 else []
    tall = 2.5 if len(scored) > 4 else 1.5
    figure = style.new_figure(4.55 + tall if shown else 3.35)
    style.title(figure, *_finding(points, best, objective, names, len(shown)))
    _draw_scores(style.inches(figure, 0.95, 1.25, 8.65, 1.6), points, scored, best, objective, maximize)
    if shown:
        scales = [_scale(names[key], [point.varied[key] for point in scored]) for key in shown]
        scales.append(_score_scale(objective, [point.score for point in scored]))
        below = style.inches(figure, 0.95, 4.2, 8.15, tall)
        style.write(figure, 0.95, 3.48, "what was varied, and what came of it", 11.5, weight="bold")
        _draw_parallel(below, scales, scored, best, maximize)
    return figure


def _finding(
    points: Sequence[Point], best: Point | None, objective: str, names: dict[str, str], shown: int
) -> tuple[str, str]:
    rest = [point.status for point in points if point.score is None]
    note = f"{len(points)} jobs" + "".join(f", {rest.count(status)} {status}" for status in dict.fromkeys(rest))
    if 0 < shown < len(names):
        note += f"; {shown} of the {len(names)} options that vary"
    if best is None:
        return "No job has a score yet", note
    values = ", ".join(
        f"{name} {style.shorten(read_value(best.varied[key]), 24)}" for key, name in list(names.items())[:4]
    )
    return f"{objective} {best.score:.4f} in job {best.number}" + (f": {values}" if values else ""), note


def _draw_scores(
    axes: Axes, points: Sequence[Point], scored: Sequence[Point], best: Point | None, objective: str, maximize: bool
) -> None:
    """A dot for each job, marks at the foot for those without a score, and the best so far as a line."""
    numbers = [point.number for point in points]
    axes.set_title("score of each job", loc="left", fontproperties=style.font(11.5, "bold"), color=style.INK, pad=6)
    scores = [point.score for point in scored] or [0.0, 1.0]
    margin = 0.15 * ((max(scores) - min(scores)) or abs(max(scores)) or 1)
    rest = {status: [p.number for p in points if p.score is None and p.status == status] for status in MARKS}
    foot = min(scores) - margin * (2.2 if any(rest.values()) else 1)
    across = max(0.5, 0.02 * (max(numbers) - min(numbers)))
    axes.set(xlim=(min(numbers) - across, max(numbers) + across), ylim=(foot, max(scores) + margin))
    axes.xaxis.set_major_locator(MaxNLocator(min(12, len(numbers) + 1), integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.set_xlabel("job", labelpad=-1)
    axes.set_ylabel(objective)
    style.tidy(axes)
    if len(scored) > 1:
        running = (np.maximum if maximize else np.minimum).accumulate(scores)
        ends = [*(point.number for point in scored), max(numbers)]
        axes.step(ends, [*running, running[-1]], where="post", color=style.FAINT, linewidth=1.2, zorder=2)
    if scored:
        shades = _shades(scores, maximize)
        axes.scatter([p.number for p in scored], scores, c=shades, s=40, zorder=3, linewidths=0)
    if best is not None:
        axes.scatter([best.number], [best.score], color=BEST, s=64, zorder=4, linewidths=0)
    at, right = foot + 0.3 * (min(scores) - foot), 1.0
    for status, (mark, color) in MARKS.items():
        if rest[status]:
            axes.scatter(
                rest[status], [at] * len(rest[status]), marker=mark, color=color, s=30, zorder=3, linewidths=1.4
            )
            look = {"color": color, "transform": axes.transAxes, "clip_on": False}
            axes.text(right, 1.1, status, ha="right", va="center_baseline", fontproperties=style.font(9.5), **look)
            axes.scatter([right - 0.012 - 0.0082 * len(status)], [1.107], marker=mark, s=30, linewidths=1.4, **look)
            right -= 0.0082 * len(status) + 0.04


def _draw_parallel(
    axes: Axes, scales: list[Scale], scored: Sequence[Point], best: Point | None, maximize: bool
) -> None:
    """A line for each job through its values, the darker the better; the best one's in another color."""
    axes.set(xlim=(0, len(scales) - 1), ylim=(0, 1), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    shades = _shades([point.score for point in scored], maximize)
    order = sorted(range(len(scored)), key=lambda k: scored[k].score, reverse=not maximize)
    spread = _spread(scales)
    for k in order:  # the better lie over the worse
        heights = spread[:, k]
        corners, codes = [(0.0, heights[0])], [Outline.MOVETO]
        for x in range(1, len(scales)):
            corners += [(x - 0.6, heights[x - 1]), (x - 0.4, heights[x]), (x, heights[x])]
            codes += [Outline.CURVE4] * 3
        look = {"edgecolor": shades[k], "linewidth": 1.3, "zorder": 2}
        if scored[k] is best:
            look = {"edgecolor": BEST, "linewidth": 2.4, "zorder": 3}
        axes.add_patch(PathPatch(Outline(corners, codes), facecolor="none", clip_on=False, **look))
    halo = [withStroke(linewidth=3, foreground=style.SURFACE)]
    room = 8.15 / (len(scales) - 1)  # inches between two axes
    for x, scale in enumerate(scales):
        axes.plot([x, x], [0, 1], color=style.MUTED, linewidth=1.0, zorder=4, clip_on=False)
        name = style.shorten(scale.name, max(8, int(room * 12)))
        axes.annotate(
            name, (x, 1), xytext=(0, 9), textcoords="offset points", ha="center", va="bottom", color=style.INK,
            fontproperties=style.font(9.5, "bold"), parse_math=False, annotation_clip=False,
        )  # fmt: skip
        for height, text in scale.labels:
            outside = x == 0  # beside the first axis there is room on its left
            axes.annotate(
                style.shorten(text, 11 if outside else max(8, int(room * 10))), (x, height), color=style.MUTED,
                xytext=(-6 if outside else 6, 0), textcoords="offset points", ha="right" if outside else "left",
                va="center_baseline", fontproperties=style.font(9), parse_math=False, zorder=5, path_effects=halo,
                annotation_clip=False,
            )  # fmt: skip


def _spread(scales: list[Scale]) -> np.ndarray:
    """Heights (scales, jobs), those that share a choice moved apart a little, so that lines are seen to be several."""
    heights = np.array([scale.heights for scale in scales])
    for row, scale in zip(heights, scales, strict=True):
        if not scale.names:
            continue
        ties = [np.flatnonzero(row == height) for height in set(row)]
        apart = min(0.02, 0.4 / len(ties) / max(map(len, ties)))
        for same in ties:
            row[same] += (np.arange(len(same)) - (len(same) - 1) / 2) * apart
    return heights


def _scale(name: str, values: list[str]) -> Scale:
    """Numbers to scale, by their logarithms where that spreads them better; few numbers or words a name a step."""
    numbers = [_number(value) for value in values]
    if None in numbers or len(set(numbers)) < min(4, len(values)) or len(set(numbers)) < 2:
        names = sorted(set(values), key=lambda v: (_number(v) is None, _number(v) or 0.0, values.index(v)))
        gap = 0.9 / max(len(names) - 1, 1)
        places = {value: 0.05 + k * gap if len(names) > 1 else 0.5 for k, value in enumerate(names)}
        step = math.ceil(len(names) / MOST_CHOICES)
        labels = [(places[value], read_value(value)) for value in names[::step]]
        return Scale(name, [places[value] for value in values], labels, names=True)
    found = np.array(numbers, dtype=float)
    low, high = float(found.min()), float(found.max())
    if low > 0 and high / low >= 8 and _off_center(np.log10(found)) < _off_center(found):
        return _to_scale(name, np.log10(found), _decades(low, high))
    return _to_scale(name, found, _round_ticks(low, high))


def _off_center(found: np.ndarray) -> float:
    """How far the median lies from the middle of the range, as a share of it."""
    return abs(float((np.median(found) - found.min()) / (found.max() - found.min())) - 0.5)


def _score_scale(objective: str, scores: list[float]) -> Scale:
    found = np.array(scores)
    return _to_scale(objective, found, _round_ticks(found.min(), found.max()))


def _to_scale(name: str, found: np.ndarray, ticks: list[tuple[float, str]]) -> Scale:
    low, high = float(found.min()), float(found.max())
    width = (high - low) or 1.0
    middle = 0.5 if high == low else 0.0
    labels = [((at - low) / width + middle, text) for at, text in ticks if low - 1e-9 <= at <= high + 1e-9]
    return Scale(name, [float((value - low) / width + middle) for value in found], labels)


def _decades(low: float, high: float) -> list[tuple[float, str]]:
    """Ticks of a logarithmic axis, as logarithms: 1, 2 and 5 of each decade, or fewer where there are many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= 7:
            break
    return [(math.log10(tick), f"{tick:g}") for tick in inside or (low, high)]


def _round_ticks(low: float, high: float) -> list[tuple[float, str]]:
    if high == low:
        return [(low, f"{low:.4g}")]
    ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    return [(float(tick), f"{tick:.{digits}f}") for tick in ticks]


def _shades(scores: Sequence[float], maximize: bool) -> list[tuple[float, ...]]:
    """A color for each score: the rank's, since one bad job would leave all others alike."""
    ranks = np.argsort(np.argsort(np.array(scores) * (1 if maximize else -1), kind="stable"))
    return [SHADES(rank / max(len(scores) - 1, 1)) for rank in ranks]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
