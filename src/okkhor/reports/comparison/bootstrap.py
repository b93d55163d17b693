"""How far scores would move with other validation images: the bootstrap over images, paired between runs.

A round draws as many images as there are, with replacement (Efron 1979), and scores every run on the same ones. So what
is hard about the images that were drawn falls out of a difference between runs. The rounds say nothing of what another
seed of the training would have given.
"""

from collections.abc import Callable, Iterator

import numpy as np

from okkhor.heads import Heads
from okkhor.reports.recall import HeadResult

LEVEL = 0.95
MOST_NUMBERS = 1 << 22  # of an array: rounds are done in parts that fit

Interval = tuple[float, float]


def draws(images: int, rounds: int, seed: int = 0) -> Iterator[np.ndarray]:
    """How often each image is drawn in each round: int32 (part of the rounds, images), rows sum to `images`."""
    rng = np.random.default_rng(seed)
    part = max(1, MOST_NUMBERS // max(images, 1))
    for start in range(0, rounds, part):
        count = min(part, rounds - start)
        drawn = rng.integers(0, images, (count, images)) + np.arange(count)[:, None] * images
        yield np.bincount(drawn.ravel(), minlength=count * images).reshape(count, images).astype(np.int32)


def bootstrap(
    runs: list[list[HeadResult]], rounds: int, seed: int = 0, advance: Callable[[int], None] = lambda done: None
) -> np.ndarray:
    """Score and recalls of several runs on the same resamples, float64 (runs, rounds, 1 + heads), the score first.

    runs: each run's heads, on the same images in the same order; advance: told how many rounds were done.
    """
    shares = np.array(Heads(result.head for result in runs[0]).shares)
    parts = []
    for times in draws(len(runs[0][0].labels), rounds, seed):
        recalls = np.array([[macro_recall(times, result) for result in results] for results in runs])
        parts.append(np.concatenate([np.einsum("h,khr->kr", shares, recalls)[..., None], recalls.swapaxes(1, 2)], 2))
        advance(len(times))
    return np.concatenate(parts, axis=1)


def macro_recall(times: np.ndarray, result: HeadResult) -> np.ndarray:
    """Macro recall on resamples, (rounds,), by the rule of `HeadResult.macro`.

    times: int (rounds, N), how often each image is there. A class that a resample lacks does not count, unless it was
    predicted there: then it counts as zero.
    """
    classes = result.head.classes
    count = _per_class(times, result.labels, classes)
    right = result.labels == result.predicted
    hits = _per_class(times[:, right], result.labels[right], classes)
    predicted = _per_class(times, result.predicted, classes)
    recall = np.divide(hits, count, out=np.zeros(count.shape), where=count > 0)
    return recall.sum(1) / ((count > 0) | (predicted > 0)).sum(1)


def _per_class(times: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Sums of columns by class, int (rounds, classes); labels: (N,), the class of each column."""
    sums = np.zeros((len(times), classes), np.int64)
    if len(labels):
        order = np.argsort(labels, kind="stable")
        present, starts = np.unique(labels[order], return_index=True)
        sums[:, present] = np.add.reduceat(times[:, order], starts, axis=1)
    return sums


def interval(values: np.ndarray, level: float = LEVEL) -> Interval:
    """The middle `level` of the values, (rounds,): between percentiles."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
