import pytest
import torch
from torch.nn import functional

from okkhor.augment.batch import MixedLabels
from okkhor.heads import Heads
from okkhor.models.losses import CrossEntropy, HeadsLoss

HEADS = Heads.from_config({"a": {"classes": 5, "weight": 2}, "b": {"classes": 3}, "c": {"classes": 4}})


def logits_and_labels(batch=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = [torch.randn(batch, k, generator=generator) for k in HEADS.classes]
    return logits, torch.stack([torch.randint(k, (batch,), generator=generator) for k in HEADS.classes], 1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_weighted_sum_of_torch_cross_entropies(smoothing):
    logits, labels = logits_and_labels()
    expected = sum(
        share * functional.cross_entropy(x, labels[:, k], label_smoothing=smoothing)
        for k, (x, share) in enumerate(zip(logits, (0.5, 0.25, 0.25), strict=True))
    )
    assert torch.allclose(HeadsLoss(HEADS, CrossEntropy(smoothing))(logits, labels), expected)


def test_mixed_labels_equal_soft_targets():
    logits, a = logits_and_labels()
    b = a.flip(0)
    lam = torch.rand(len(a), generator=torch.Generator().manual_seed(1))
    expected = 0.0
    for k, (x, share) in enumerate(zip(logits, HEADS.shares, strict=True)):
        one_hot_a, one_hot_b = (functional.one_hot(y[:, k], x.shape[1]).float() for y in (a, b))
        soft = lam[:, None] * one_hot_a + (1 - lam[:, None]) * one_hot_b
        expected = expected + share * functional.cross_entropy(x, soft)
    assert torch.allclose(HeadsLoss(HEADS, CrossEntropy())(logits, MixedLabels(a, b, lam)), expected)


def test_padding_adds_nothing():
    logits, labels = logits_and_labels()
    padded = [torch.cat([x, torch.full((2, x.shape[1]), 9.0)]) for x in logits]
    with_padding = torch.cat([labels, torch.full((2, 3), -1)])
    loss = HeadsLoss(HEADS, CrossEntropy(0.1))
    assert torch.allclose(loss.per_sample(padded, with_padding)[:7], loss.per_sample(logits, labels))
    assert loss.per_sample(padded, with_padding)[7:].tolist() == [0, 0]


def test_half_precision_logits_are_summed_in_single():
    logits, labels = logits_and_labels()
    half = HeadsLoss(HEADS, CrossEntropy())([x.bfloat16() for x in logits], labels)
    assert half.dtype == torch.float32
