import numpy as np
import pytest
import torch
from sklearn.metrics import recall_score
from sklearn.neighbors import KNeighborsClassifier

from okkhor.heads import Heads
from okkhor.models.metrics import HeadsScore
from okkhor.models.pretraining import knn
from okkhor.models.pretraining.knn import FeatureRows, knn_probabilities, unit, without_padding

HEADS = Heads.from_config({"root": {"classes": 6, "weight": 2}, "vowel": {"classes": 4}})


def features(count, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.stack([torch.randint(0, head.classes, (count,), generator=generator) for head in HEADS], 1)
    centers = torch.randn(6, 8, generator=torch.Generator().manual_seed(9))
    return unit(centers[labels[:, 0]] + 1.2 * torch.randn(count, 8, generator=generator)), labels


@pytest.mark.parametrize("neighbors", [1, 20])
def test_votes_are_those_of_scikit_learn(neighbors, monkeypatch):
    monkeypatch.setattr(knn, "BLOCK", 37)  # several blocks
    bank, bank_labels = features(300, 0)
    asked, labels = features(100, 1)
    found = knn_probabilities(bank, bank_labels, asked, HEADS, neighbors)
    shares = []
    for k, head in enumerate(HEADS):
        theirs = KNeighborsClassifier(
            neighbors, metric="cosine", algorithm="brute", weights=lambda d: np.exp((1 - d) / 0.1)
        ).fit(bank.numpy(), bank_labels[:, k].numpy())
        expected = np.zeros((100, head.classes))
        expected[:, theirs.classes_] = theirs.predict_proba(asked.numpy())
        assert np.allclose(found[k].numpy(), expected, atol=1e-4)
        predicted = theirs.predict(asked.numpy())
        shares.append(recall_score(labels[:, k].numpy(), predicted, average="macro", zero_division=0))
    score = HeadsScore(HEADS, across_ranks=False)
    score.update(torch.stack([p.argmax(1) for p in found], 1), labels)
    assert score.compute()["score"].item() == pytest.approx((2 * shares[0] + shares[1]) / 3, abs=1e-6)
    assert shares[0] > 0.5  # features that tell roots apart are seen as such


def test_a_bank_smaller_than_the_number_of_neighbors_votes_as_a_whole():
    bank, labels = features(5, 0)
    asked, _ = features(3, 1)
    found = knn_probabilities(bank, labels, asked, HEADS, 20)
    assert all(torch.allclose(p.sum(1), torch.ones(3)) for p in found)


def test_rows_are_collected_without_padding_and_then_forgotten():
    rows = FeatureRows()
    rows.add(torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[1, 2], [-1, -1]]))
    rows.add(torch.tensor([[0.0, 2.0]]), torch.tensor([[3, 0]]))
    found, labels = without_padding(*rows.take())
    assert torch.allclose(found, torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
    assert labels.tolist() == [[1, 2], [3, 0]]
    assert rows.features == rows.labels == []
