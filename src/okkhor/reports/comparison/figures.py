"""Pictures of a comparison: scores with their intervals, and learning curves together."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from okkhor.reports import style
from okkhor.reports.comparison.standing import Estimate, Standing, rival
from okkhor.reports.comparison.table import head_names
from okkhor.reports.curves import Line, draw_lines, span, steps_per_epoch

MOST_RUNS, MOST_HEADS, MOST_CURVES = 24, 3, 12
_ROW, _NAMES = 0.3, 2.35  # inches: a run's row, the column of names


def draw_scores(found: Sequence[Standing]) -> Figure:
    """Score and difference to the reference, then each head's recall: a dot, and a line over its 95% interval."""
    shown = list(found[:MOST_RUNS])
    reference = next(standing for standing in found if standing.is_reference)
    if reference not in shown:
        shown[-1] = reference
    heads = head_names(found)[:MOST_HEADS]
    tall = _ROW * len(shown)
    second = 1.35 + tall + 0.85
    figure = style.new_figure(second + tall + 0.5 if len(heads) > 1 else 1.35 + tall + 0.5)
    images = f"{len(reference.compared.predictions.image_ids):,}"
    note = (
        f"Dots: on {images} validation images. Lines: 95% of what other images of their kind would give (bootstrap; "
        "differences are paired).\nWhat another seed of the training would give is not in them. Blue and orange: "
        "clearly above or below the reference."
    )
    left = len(found) - len(shown)
    more = f" {left} more {'run is' if left == 1 else 'runs are'} in scores.csv." if left else ""
    style.title(figure, finding(found), note + more)
    wide = (style.WIDTH - 0.6 - _NAMES - 0.35) / 2
    across = 0.3 + _NAMES
    axes = style.inches(figure, across, 1.35, wide, tall)
    _draw_dots(axes, shown, [standing.score for standing in shown], "score")
    _names(figure, shown, 1.35)
    axes = style.inches(figure, across + wide + 0.35, 1.35, wide, tall)
    none = Estimate(0.0, 0.0, 0.0)
    differences = [none if s.is_reference else s.difference for s in shown]
    axes.axvline(0, color=style.FAINT, linewidth=1)
    _draw_dots(axes, shown, differences, f"difference to {style.shorten(reference.name, 22)}")
    if len(heads) > 1:
        _names(figure, shown, second)
        each = (style.WIDTH - 0.6 - _NAMES - 0.35 * (len(heads) - 1)) / len(heads)
        for place, name in enumerate(heads):
            axes = style.inches(figure, across + place * (each + 0.35), second, each, tall)
            _draw_dots(axes, shown, [s.recalls.get(name) for s in shown], f"recall of {style.shorten(name, 16)}")
    return figure


def finding(found: Sequence[Standing]) -> str:
    """The comparison in a sentence."""
    reference, best = next(standing for standing in found if standing.is_reference), rival(found)
    name = style.shorten(reference.name, 24)
    if best is None:
        return f"{name} and runs that were validated on other images"
    difference = best.difference
    assert difference is not None
    who = style.shorten(best.name, 24) + (f", the best of {len(found) - 1} others," if len(found) > 2 else "")
    if not difference.clear:
        return f"{who} cannot be told apart from {name}: {difference.value:+.4f}, within what chance gives"
    how = "above" if difference.value > 0 else "below"
    return f"{who} is {abs(difference.value):.4f} {how} {name}, more than chance gives"


def _names(figure: Figure, shown: Sequence[Standing], top: float) -> None:
    for row, standing in enumerate(shown):
        parts = [(standing.name, style.INK, True)]
        if standing.is_reference:
            parts.append((" reference", style.MUTED, False))
        elif standing.compared.differs:
            parts.append((f" {standing.compared.differs}", style.MUTED, True))
        style.write_fitting(figure, 0.3, top + _ROW * (row + 0.5) - 0.09, _NAMES - 0.15, 10, parts)


def _draw_dots(axes: Axes, shown: Sequence[Standing], values: Sequence[Estimate | None], name: str) -> None:
    axes.set_title(name, loc="left", fontproperties=style.font(11.5, "bold"), color=style.INK, pad=6)
    for row, (standing, estimate) in enumerate(zip(shown, values, strict=True)):
        if estimate is None:
            at = axes.get_yaxis_transform()
            look = {"color": style.FAINT, "va": "center_baseline", "fontproperties": style.font(9)}
            axes.text(0.02, row, "other images" if standing.difference is None else "", transform=at, **look)
            continue
        color = _color(standing)
        axes.plot([estimate.low, estimate.high], [row, row], color=color, linewidth=2.2, solid_capstyle="round")
        axes.plot(estimate.value, row, "o", color=color, markersize=7, markeredgecolor=style.SURFACE)
    axes.set(ylim=(len(shown) - 0.5, -0.5), yticks=[])
    axes.margins(x=0.06)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    style.tidy(axes, grid="x")


def _color(standing: Standing) -> str:
    if standing.is_reference:
        return style.INK
    if standing.difference is None or not standing.difference.clear:
        return style.FAINT
    return style.RIGHT if standing.difference.value > 0 else style.WRONG


def draw_together(found: Sequence[Standing]) -> Figure | None:
    """Validation loss on the left and score on the right, a curve a run; None where none was logged."""
    shown = [standing for standing in found if "val/score" in standing.compared.curves][:MOST_CURVES]
    if not shown:
        return None
    per_epoch = {standing.name: steps_per_epoch(dict(standing.compared.curves)) for standing in shown}
    by_epoch = all(per_epoch.values())

    def lines(metric: str) -> list[Line]:
        found_lines = []
        for place, standing in enumerate(shown):
            if metric not in standing.compared.curves:
                continue
            steps, values = standing.compared.curves[metric]
            x = (steps + 1) / per_epoch[standing.name] if by_epoch else steps
            reference = standing.is_reference
            color = style.INK if reference else style.SERIES[place % len(style.SERIES)]
            found_lines.append(Line(np.asarray(x), values, standing.name, color, 2.4 if reference else 1.8))
        return found_lines

    losses, scores = lines("val/loss"), lines("val/score")
    limits = (0.0, max(1.0, *(float(line.x[-1]) for line in losses + scores)))
    figure = style.new_figure(4.75)
    ends = {s.name: float(s.compared.curves["val/score"][1].max()) for s in shown}
    top = max(ends, key=lambda name: ends[name])
    note = "Validation after each epoch. Black: the reference."
    note += f" The best {MOST_CURVES} runs." * (len(found) > MOST_CURVES)
    style.title(figure, f"Learning curves: {style.shorten(top, 24)} reaches {ends[top]:.3f}", note)
    unit = "epoch" if by_epoch else "step"
    for axes, drawn, name, up in (
        (style.inches(figure, 0.75, 1.25, 2.95, 2.9), losses, "loss (nats)", span(losses)),
        (style.inches(figure, 5.4, 1.25, 2.95, 2.9), scores, "score", (span(scores, 0.1)[0], 1.0)),
    ):
        draw_lines(axes, drawn, name, limits, up)
        axes.set_xlabel(unit, labelpad=-1)
    return figure
