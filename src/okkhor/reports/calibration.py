"""Calibration: whether images that are given 0.9 are read right nine times of ten (https://arxiv.org/abs/1706.04599)."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from okkhor.reports import style
from okkhor.reports.recall import HeadResult

BINS = 15  # as in the paper
MOST_HEADS, COLUMNS = 6, 3
_MISSING, _MORE = "#fbd9c4", "#8fc3e2"  # between what was said and what came: less than it, more than it


@dataclass(frozen=True)
class Calibration:
    """Answers of one head by the probability that was given to them, in bins of equal width.

    count, confidence, accuracy: (BINS,); number of answers, mean of their probabilities, share that was right; the
    latter two are nan in an empty bin. A bin holds its upper edge.
    """

    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @classmethod
    def of(cls, result: HeadResult, probabilities: np.ndarray, bins: int = BINS) -> "Calibration":
        """probabilities: (N, classes)."""
        given = probabilities[np.arange(len(probabilities)), result.predicted].astype(np.float64)
        place = np.clip(np.ceil(given * bins).astype(np.int64) - 1, 0, bins - 1)
        count = np.bincount(place, minlength=bins)

        def mean(values: np.ndarray) -> np.ndarray:
            total = np.bincount(place, weights=values, minlength=bins)
            return np.divide(total, count, out=np.full(bins, np.nan), where=count > 0)

        return cls(count, mean(given), mean((result.labels == result.predicted).astype(np.float64)))

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of confidence and accuracy over all answers; nan without any."""
        if not (total := self.count.sum()):
            return float("nan")
        return float(np.nansum(self.count * np.abs(self.accuracy - self.confidence)) / total)

    @property
    def means(self) -> tuple[float, float]:
        """Mean confidence and accuracy of all answers."""
        total = max(int(self.count.sum()), 1)
        return tuple(float(np.nansum(self.count * values) / total) for values in (self.confidence, self.accuracy))


def draw_calibration(results: list[HeadResult], probabilities: list[np.ndarray]) -> Figure | None:
    """A reliability diagram of each head over the number of answers in each bin; None without images."""
    if not len(results[0].labels):
        return None
    order = sorted(range(len(results)), key=lambda k: -results[k].head.weight)[:MOST_HEADS]
    found = [Calibration.of(results[k], probabilities[k]) for k in order]
    columns = min(len(order), COLUMNS)
    side, apart, step = 2.25, (style.WIDTH - 0.6) / columns, 3.85
    rows = -(-len(order) // columns)
    figure = style.new_figure(1.2 + step * rows)
    style.title(
        figure,
        _finding(results[order[0]].head.name, found[0]),
        "Bars: share of answers that were right, over the probability that they were given; calibrated, they end on "
        "the dotted line.\nOrange: right less often than said. Light blue: more often. Lines: 95% intervals. "
        f"{BINS} bins of equal width, after Guo et al. 2017.",
    )
    for place, (k, calibration) in enumerate(zip(order, found, strict=True)):
        left, top = 0.3 + place % columns * apart, 1.3 + place // columns * step
        name = style.shorten(results[k].head.name, 16)
        style.write(figure, left, top - 0.08, f"{name}: calibration error {calibration.error:.3f}", 11.5, weight="bold")
        _draw_bars(style.inches(figure, left + 0.5, top + 0.3, side, side), calibration)
        _draw_counts(style.inches(figure, left + 0.5, top + 0.4 + side, side, 0.5), calibration)
    return figure


def _finding(name: str, calibration: Calibration) -> str:
    confidence, accuracy = calibration.means
    gap = confidence - accuracy
    how = "which is well calibrated" if abs(gap) < 0.01 else "too sure of itself" if gap > 0 else "too modest"
    said = f"the model is {confidence:.1%} sure on average and right {accuracy:.1%} of the time"
    return f"Calibration of {style.shorten(name, 16)}: {said}, {how}"


def _draw_bars(axes: Axes, calibration: Calibration) -> None:
    bins, present = len(calibration.count), calibration.count > 0
    width = 1 / bins
    at = (np.arange(bins)[present] + 0.5) * width
    accuracy, confidence = calibration.accuracy[present], calibration.confidence[present]
    look = {"width": width * 0.86, "linewidth": 0.8}
    reached = np.minimum(accuracy, confidence)
    axes.bar(at, reached, color=style.RIGHT, **look)
    for chosen, light, dark in (
        (accuracy < confidence, _MISSING, style.WRONG),
        (accuracy > confidence, _MORE, style.RIGHT),
    ):
        gap = np.abs(accuracy - confidence)[chosen]
        axes.bar(at[chosen], gap, bottom=reached[chosen], color=light, edgecolor=dark, **look)
    low, high = wilson(accuracy, calibration.count[present])
    axes.vlines(at, low, high, color=style.INK, linewidth=1, zorder=4)
    axes.plot([0, 1], [0, 1], color=style.INK, linewidth=1, linestyle=(0, (1, 2)), zorder=5)
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], ylabel="share right")
    style.tidy(axes)
    axes.tick_params(labelbottom=False)


def _draw_counts(axes: Axes, calibration: Calibration) -> None:
    """How many answers each bin holds; on a logarithmic axis, since most are sure."""
    bins = len(calibration.count)
    axes.bar((np.arange(bins) + 0.5) / bins, calibration.count, width=0.86 / bins, color=style.FAINT)
    most = int(calibration.count.max())
    axes.set_yscale("log")
    axes.set(xlim=(0, 1), ylim=(0.7, most * 1.6), xticks=[0, 0.5, 1], yticks=sorted({1, most}))
    axes.set_yticklabels([f"{tick:,}" for tick in sorted({1, most})])
    axes.minorticks_off()
    axes.set_xlabel("probability of the answer", labelpad=-1)
    axes.set_ylabel("images")
    style.tidy(axes)


def wilson(share: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Limits of the 95% interval of a share among `count` > 0, after Wilson (1927): sound for few images, too."""
    z = 1.959964
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return middle - half, middle + half
