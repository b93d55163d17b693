from dataclasses import replace

import numpy as np
import pytest

from okkhor.reports.comparison.reading import read_runs
from okkhor.reports.comparison.standing import remarks, rival, standings
from okkhor.reports.recall import score


@pytest.fixture
def runs(make_run):
    paths = [make_run("base/x", 0.7), make_run("better/x", 0.76, seed=1), make_run("other/x", 0.9, images=5, count=90)]
    return read_runs(paths)[0]


def test_best_first_with_differences_to_the_reference_where_images_are_the_same(runs):
    found = standings(runs, runs[0], 300)
    assert [standing.name for standing in found] == ["other", "better", "base"]
    other, better, base = found
    assert base.is_reference
    assert base.difference is None
    assert other.difference is None
    assert rival(found) is better
    assert better.difference.value == pytest.approx(score(better.results) - score(base.results))
    assert better.difference.low < better.difference.value < better.difference.high
    (said,) = remarks(found)
    assert said.startswith("other was validated on other images or heads (90 images) than base (200)")


def test_pairing_takes_out_what_both_runs_find_hard(runs):
    _, better, base = standings(runs, runs[0], 300)
    paired = better.difference.high - better.difference.low
    alone = [standing.score.high - standing.score.low for standing in (better, base)]
    assert paired < 0.7 * np.hypot(*alone)
    assert better.difference.clear


def test_equal_runs_differ_by_nothing_and_not_clearly(runs):
    twin = replace(runs[0], name="twin")
    found = {standing.name: standing for standing in standings([runs[0], twin], runs[0], 100)}
    difference = found["twin"].difference
    assert (difference.value, difference.low, difference.high, difference.clear) == (0, 0, 0, False)


def test_the_progress_tells_of_every_round_of_every_run(runs):
    told = []
    standings(runs, runs[0], 120, advance=told.append)
    assert sum(told) == 120 * len(runs)
