import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from torchmetrics.functional.classification import multiclass_calibration_error

from okkhor.heads import Head
from okkhor.reports.calibration import BINS, Calibration, draw_calibration, wilson
from okkhor.reports.recall import HeadResult


def readings(count, classes, sharpness, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    logits = rng.normal(size=(count, classes))
    logits[np.arange(count), labels] += 1.5
    p = torch.from_numpy(logits * sharpness).softmax(1).numpy()
    return HeadResult.of(Head("h", "h", classes), labels, p.argmax(1)), p


@pytest.mark.parametrize(("count", "classes", "sharpness"), [(3000, 11, 1.0), (500, 168, 4.0), (7, 2, 0.3)])
def test_the_error_is_that_of_torchmetrics(count, classes, sharpness):
    result, p = readings(count, classes, sharpness)
    theirs = multiclass_calibration_error(
        torch.from_numpy(p), torch.from_numpy(result.labels), classes, n_bins=BINS, norm="l1"
    )
    assert Calibration.of(result, p).error == pytest.approx(float(theirs), abs=1e-6)


def test_bins_are_those_of_a_plain_loop():
    result, p = readings(400, 5, 1.0)
    found = Calibration.of(result, p)
    given, right = p.max(1), result.labels == result.predicted
    for k in range(BINS):
        inside = (given > k / BINS) & (given <= (k + 1) / BINS)
        assert found.count[k] == inside.sum()
        if inside.any():
            assert found.accuracy[k] == pytest.approx(right[inside].mean())
            assert found.confidence[k] == pytest.approx(given[inside].mean())
        else:
            assert np.isnan(found.accuracy[k])


def test_certainty_and_its_opposite_have_a_bin():
    p = np.array([[1.0, 0.0], [0.5, 0.5]])
    found = Calibration.of(HeadResult.of(Head("h", "h", 2), np.array([0, 0]), np.array([0, 0])), p)
    assert found.count[-1] == 1
    assert found.count.sum() == 2


@pytest.mark.parametrize(("sharpness", "said"), [(6.0, "too sure of itself"), (0.2, "too modest")])
def test_the_picture_says_whether_the_model_is_too_sure(sharpness, said):
    result, p = readings(2000, 11, sharpness)
    assert said in draw_calibration([result], [p]).texts[0].get_text()


def test_the_interval_of_a_share_is_scipys():
    hits, count = np.array([0, 3, 40, 7]), np.array([1, 10, 41, 7])
    for low, high, k, n in zip(*wilson(hits / count, count), hits, count, strict=True):
        theirs = binomtest(int(k), int(n)).proportion_ci(method="wilson")
        assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_an_empty_set_has_no_picture_and_no_error():
    nothing = HeadResult.of(Head("h", "h", 3), np.array([], int), np.array([], int))
    assert draw_calibration([nothing], [np.empty((0, 3))]) is None
    assert np.isnan(Calibration.of(nothing, np.empty((0, 3))).error)
