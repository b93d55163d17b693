import numpy as np
import pytest
from sklearn.metrics import recall_score

from okkhor.heads import Head
from okkhor.reports.comparison import bootstrap as module
from okkhor.reports.comparison.bootstrap import bootstrap, draws, interval, macro_recall
from okkhor.reports.recall import HeadResult, score


def head_result(count, classes, *, name="h", weight=1.0, accuracy=0.7, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    predicted = np.where(rng.random(count) < accuracy, labels, rng.integers(0, classes, count))
    return HeadResult.of(Head(name, name, classes, weight), labels, predicted)


def test_every_round_draws_as_many_images_as_there_are():
    times = np.concatenate(list(draws(30, 200)))
    assert times.shape == (200, 30)
    assert (times.sum(1) == 30).all()
    assert times.mean(0) == pytest.approx(np.ones(30), abs=0.35)
    assert times.var() == pytest.approx(1 - 1 / 30, abs=0.1)


@pytest.mark.parametrize(("count", "classes"), [(40, 30), (60, 3), (5, 9)])
def test_a_resamples_recall_is_scikit_learns_on_the_images_drawn(count, classes):
    # few images of many classes: resamples lack classes, some of which are predicted there and some are not
    result = head_result(count, classes)
    (times,) = draws(count, 50, seed=3)
    for found, row in zip(macro_recall(times, result), times, strict=True):
        drawn = np.repeat(np.arange(count), row)
        labels, predicted = result.labels[drawn], result.predicted[drawn]
        assert found == pytest.approx(recall_score(labels, predicted, average="macro", zero_division=0))


def test_each_image_once_gives_the_score_itself():
    result = head_result(50, 12)
    assert macro_recall(np.ones((1, 50), np.int32), result)[0] == pytest.approx(result.macro)


def test_runs_are_scored_on_the_same_draws_and_heads_by_their_weights():
    runs = [
        [head_result(80, 9, name="a", weight=3, seed=s), head_result(80, 4, name="b", seed=s + 9)] for s in (0, 0, 1)
    ]
    values = bootstrap(runs, 40)
    assert values.shape == (3, 40, 3)
    assert np.array_equal(values[0], values[1])
    assert not np.allclose(values[0], values[2])
    assert values[..., 0] == pytest.approx(0.75 * values[..., 1] + 0.25 * values[..., 2])


def test_the_parts_that_rounds_are_done_in_change_nothing(monkeypatch):
    runs, told = [[head_result(60, 5)]], []
    whole = bootstrap(runs, 30)
    monkeypatch.setattr(module, "MOST_NUMBERS", 60 * 7)
    assert np.array_equal(bootstrap(runs, 30, advance=told.append), whole)
    assert told == [7, 7, 7, 7, 2]


def test_the_interval_is_as_wide_as_theory_has_it():
    # one class only half of whose images are right: recall is a share, whose deviation is known
    count = 400
    labels = np.zeros(count, int)
    predicted = np.where(np.arange(count) % 5, 0, 1)
    result = HeadResult.of(Head("h", "h", 2), np.append(labels, 1), np.append(predicted, 1))
    (times,) = draws(count + 1, 2000)
    times[:, -1] = 1  # the other class is always there, and right
    low, high = interval(macro_recall(times, result))
    deviation = np.sqrt(0.8 * 0.2 / count) / 2
    assert high - low == pytest.approx(2 * 1.96 * deviation, rel=0.1)
    assert low < score([result]) < high
