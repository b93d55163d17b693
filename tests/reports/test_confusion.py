import numpy as np
from sklearn.metrics import confusion_matrix

from okkhor.heads import Head
from okkhor.reports.confusion import confusion_shares, most_confused
from okkhor.reports.recall import HeadResult


def result_of(classes, *runs):
    """A head's result from (truth, answer, times) triples."""
    labels, predicted = (np.repeat([run[k] for run in runs], [run[2] for run in runs]) for k in (0, 1))
    return HeadResult.of(Head("h", "h", classes), labels, predicted)


def test_shares_equal_scikit_learns_normalized_matrix_when_all_classes_are_listed():
    rng = np.random.default_rng(3)
    labels, predicted = rng.integers(0, 6, (2, 300))
    shares = confusion_shares(HeadResult.of(Head("h", "h", 6), labels, predicted), np.arange(6))
    np.testing.assert_allclose(shares[:, :-1], confusion_matrix(labels, predicted, normalize="true"))
    np.testing.assert_allclose(shares[:, -1], 0)


def test_what_is_not_listed_falls_into_other():
    shares = confusion_shares(result_of(5, (0, 0, 2), (0, 1, 1), (0, 4, 1), (3, 0, 9)), np.array([1, 0]))
    assert np.isnan(shares[0]).all()  # class 1 has no image
    np.testing.assert_allclose(shares[1], [0.25, 0.5, 0.25])


def test_partners_stand_side_by_side_and_the_strongest_pair_comes_first():
    result = result_of(9, (0, 0, 100), (7, 7, 50), (7, 2, 50), (2, 2, 90), (4, 4, 90), (4, 8, 10), (8, 8, 50))
    assert most_confused(result).tolist() == [2, 7, 4, 8]
    assert most_confused(result, most=2).tolist() == [2, 7]


def test_many_mistakes_of_a_frequent_class_outrank_one_mistake_of_a_rare_one():
    result = result_of(4, (0, 0, 50), (0, 1, 50), (1, 1, 80), (2, 3, 1), (3, 3, 80))
    assert most_confused(result, most=2).tolist() == [0, 1]


def test_no_more_classes_than_asked_and_none_twice():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 300, (2, 5000))
    chosen = most_confused(HeadResult.of(Head("h", "h", 300), labels, predicted), most=21)
    assert len(chosen) == len(set(chosen.tolist())) == 21


def test_nothing_confused_gives_no_class():
    assert most_confused(result_of(3, (0, 0, 5), (1, 1, 5))).size == 0
