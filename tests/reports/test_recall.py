import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import recall_score

from okkhor.heads import Head
from okkhor.reports.naming import Naming
from okkhor.reports.recall import HeadResult, recall_per_class, score, write_csv


@st.composite
def readings(draw):
    classes = draw(st.integers(2, 12))
    pairs = draw(st.lists(st.tuples(*[st.integers(0, classes - 1)] * 2), min_size=1, max_size=60))
    labels, predicted = np.array(pairs).T
    return labels, predicted, classes


@settings(max_examples=40, deadline=None)
@given(readings())
def test_equals_scikit_learn_for_present_classes_and_is_nan_for_absent(case):
    labels, predicted, classes = case
    recall = recall_per_class(labels, predicted, classes)
    present = np.unique(labels)
    expected = recall_score(labels, predicted, labels=present, average=None)
    np.testing.assert_allclose(recall[present], expected)
    assert np.isnan(np.delete(recall, present)).all()
    assert recall.shape == (classes,)


@settings(max_examples=40, deadline=None)
@given(readings())
def test_macro_recall_equals_scikit_learn_on_any_set(case):
    labels, predicted, classes = case
    result = HeadResult.of(Head("h", "h", classes), labels, predicted)
    assert result.macro == pytest.approx(recall_score(labels, predicted, average="macro", zero_division=0))


def test_score_weighs_heads():
    good = HeadResult.of(Head("a", "a", 2, weight=2.0), np.array([0, 1]), np.array([0, 1]))
    bad = HeadResult.of(Head("b", "b", 2, weight=1.0), np.array([0, 1]), np.array([1, 0]))
    assert score([good, bad]) == pytest.approx(2 / 3)


def test_worst_first_leaves_absent_classes_apart():
    labels = np.array([4, 4, 1, 1, 3, 3, 3, 3])
    predicted = np.array([4, 4, 1, 0, 3, 3, 2, 2])
    result = HeadResult.of(Head("h", "h", 6), labels, predicted)
    assert result.worst_first.tolist() == [3, 1, 4]  # equal recalls: the class with more images first
    assert result.absent.tolist() == [0, 2, 5]
    assert result.mostly_read_as(3) == (2, 2)
    assert result.mostly_read_as(4) is None


def test_csv_lists_every_class_once_worst_first_and_absent_last(tmp_path):
    result = HeadResult.of(Head("letter", "letter", 4), np.array([0, 0, 2, 3]), np.array([0, 1, 3, 3]))
    write_csv([result], Naming({"letter": ["ক", "খ, গ", 'ঘ"', "ঙ"]}), tmp_path / "recall.csv")
    with (tmp_path / "recall.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["class"], row["name"], row["count"], row["recall"]) for row in rows] == [
        ("2", 'ঘ"', "1", "0.0000"),
        ("0", "ক", "2", "0.5000"),
        ("3", "ঙ", "1", "1.0000"),
        ("1", "খ, গ", "0", ""),
    ]
    assert {row["head"] for row in rows} == {"letter"}
