"""Where each run stands: its score and recalls with intervals, and its distance from a reference."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from okkhor.reports.comparison.bootstrap import Interval, bootstrap, interval
from okkhor.reports.comparison.reading import Compared
from okkhor.reports.recall import HeadResult, score


@dataclass(frozen=True)
class Estimate:
    """A number and its 95% interval."""

    value: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Of a difference: whether its interval leaves out 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Standing:
    """One run.

    score, recalls: estimates, the latter by head; difference: its score less the reference's, None for the reference
    itself and where the validation images are others.
    """

    compared: Compared
    results: list[HeadResult]
    score: Estimate
    recalls: dict[str, Estimate]
    difference: Estimate | None
    is_reference: bool

    @property
    def name(self) -> str:
        return self.compared.name


def standings(
    runs: Sequence[Compared],
    reference: Compared,
    rounds: int,
    seed: int = 0,
    advance: Callable[[int], None] = lambda done: None,
) -> list[Standing]:
    """All runs, best score first. reference: one of them; advance: told how many rounds of how many runs were done."""
    found = []
    for group in _groups(runs):
        results = [run.predictions.results() for run in group]
        values = bootstrap(results, rounds, seed, _times(advance, len(group)))
        at = next((k for k, run in enumerate(group) if run is reference), None)
        for k, run in enumerate(group):
            difference = None
            if at is not None and k != at:
                paired = interval(values[k, :, 0] - values[at, :, 0])
                difference = Estimate(score(results[k]) - score(results[at]), *paired)
            recalls = {
                result.head.name: Estimate(result.macro, *interval(values[k, :, 1 + column]))
                for column, result in enumerate(results[k])
            }
            own: Interval = interval(values[k, :, 0])
            estimate = Estimate(score(results[k]), *own)
            found.append(Standing(run, results[k], estimate, recalls, difference, run is reference))
    return sorted(found, key=lambda standing: -np.nan_to_num(standing.score.value, nan=-math.inf))


def _times(advance: Callable[[int], None], count: int) -> Callable[[int], None]:
    return lambda done: advance(done * count)


def _groups(runs: Sequence[Compared]) -> list[list[Compared]]:
    """Runs that were validated on the same images together."""
    groups: list[list[Compared]] = []
    for run in runs:
        mine = next((group for group in groups if group[0].shares_images_with(run)), None)
        if mine is None:
            groups.append([run])
        else:
            mine.append(run)
    return groups


def rival(found: Sequence[Standing]) -> Standing | None:
    """The best run besides the reference that can be paired with it; None where there is none."""
    return next((standing for standing in found if standing.difference is not None), None)


def remarks(found: Sequence[Standing]) -> list[str]:
    """What is to be known before the numbers are believed, in sentences."""
    reference = next(standing for standing in found if standing.is_reference)
    said = []
    for standing in found:
        if standing.difference is None and not standing.is_reference:
            count, base = len(standing.compared.predictions.image_ids), len(reference.compared.predictions.image_ids)
            said.append(
                f"{standing.name} was validated on other images or heads ({count:,} images) than {reference.name} "
                f"({base:,}): there is no difference between them to tell, and their scores may not compare."
            )
    return said
