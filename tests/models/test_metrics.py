import warnings

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import recall_score

from okkhor.heads import Heads
from okkhor.models.metrics import EpochMeter, HeadsScore


@st.composite
def readings(draw):
    """Labels and predictions of three heads; few samples, so that classes are often absent from either."""
    classes = [draw(st.integers(2, 12)) for _ in range(3)]
    count = draw(st.integers(1, 25))
    columns = [st.lists(st.integers(0, k - 1), min_size=count, max_size=count) for k in classes]
    truth = np.array([draw(column) for column in columns]).T
    predicted = np.array([draw(column) for column in columns]).T
    return classes, truth, predicted


@given(readings(), st.integers(1, 9))
@settings(max_examples=80, deadline=None)
def test_equals_scikit_learn_on_any_input_in_any_batches(drawn, batch):
    classes, truth, predicted = drawn
    heads = Heads.from_config({f"h{k}": {"classes": c, "weight": 2 - (k > 0)} for k, c in enumerate(classes)})
    metric = HeadsScore(heads)
    for start in range(0, len(truth), batch):
        part = slice(start, start + batch)
        metric.update(torch.from_numpy(predicted[part]), torch.from_numpy(truth[part]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of classes that are absent; that is the case wanted
        recalls = [recall_score(truth[:, k], predicted[:, k], average="macro", zero_division=0) for k in range(3)]
    values = metric.compute()
    for k, recall in enumerate(recalls):
        assert np.isclose(float(values[f"recall_h{k}"]), recall)
    assert np.isclose(float(values["score"]), np.average(recalls, weights=[2, 1, 1]))


def test_padding_is_passed_over_and_an_epoch_starts_anew():
    heads = Heads.from_config({"a": {"classes": 3}})
    meter = EpochMeter(heads)
    logits = [torch.eye(3)[[0, 1, 2, 2]]]
    meter.update(torch.tensor(2.0), 3, logits, torch.tensor([[0], [1], [1], [-1]]))
    meter.update(torch.tensor(1.0), 1, logits, torch.tensor([[0], [-1], [-1], [-1]]))
    values = meter.finish()
    assert float(values["loss"]) == 1.75
    # class 0 is right twice, class 1 once of two; class 2 is predicted but never true: 0
    assert np.isclose(float(values["recall_a"]), (1 + 0.5 + 0) / 3)
    meter.update(torch.tensor(5.0), 1, logits, torch.tensor([[0], [1], [2], [2]]))
    assert float(meter.finish()["loss"]) == 5.0


def test_no_state_goes_into_checkpoints():
    assert EpochMeter(Heads.from_config({"a": {"classes": 3}})).state_dict() == {}
