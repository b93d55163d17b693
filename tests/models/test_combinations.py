"""A layer over whole label combinations: its probabilities, summed, are those of the heads."""

import pytest
import torch

from okkhor.augment.batch import MixedLabels
from okkhor.errors import InputError
from okkhor.heads import Heads
from okkhor.models.classifier import MultiHeadClassifier
from okkhor.models.combinations import LEAST, CombinationHead
from okkhor.models.losses import CrossEntropy
from okkhor.models.module import ClassifierModule, parameter_groups

HEADS = Heads.from_config({"root": {"classes": 6, "weight": 2}, "vowel": {"classes": 4}})
OPTIONS = {"widths": [8, 16], "blocks": [1, 0]}
# root 4 and vowel 3 are in no combination
TRAINING = torch.tensor([[0, 0], [5, 1], [0, 0], [1, 2], [1, 0], [2, 1], [3, 2]])
KNOWN = [(0, 0), (1, 0), (1, 2), (2, 1), (3, 2), (5, 1)]


def layer(seed=0):
    torch.manual_seed(seed)
    made = CombinationHead(HEADS, 8)
    made.learn_labels(TRAINING)
    return made


def net():
    torch.manual_seed(0)
    made = MultiHeadClassifier(HEADS, options=OPTIONS, grapheme_head=True)
    made.learn_labels(TRAINING)
    return made


def test_probabilities_of_a_class_are_the_sum_over_the_combinations_that_have_it():
    made = layer()
    logits = made(torch.randn(5, 8))
    assert logits.shape == (5, len(KNOWN))
    p = logits.softmax(1)
    for column, found in enumerate(made.of_heads(logits)):
        for label in range(HEADS[column].classes):
            members = [k for k, combination in enumerate(KNOWN) if combination[column] == label]
            expected = p[:, members].sum(1).clamp(min=LEAST).log()
            torch.testing.assert_close(found[:, label], expected)
        torch.testing.assert_close(found.softmax(1), found.exp())


def test_half_precision_logits_are_summed_in_single():
    made = layer()
    logits = made(torch.randn(5, 8))
    with torch.autocast("cpu", torch.bfloat16):
        found = made.of_heads(logits)
    for ours, theirs in zip(found, made.of_heads(logits), strict=True):
        assert torch.equal(ours, theirs)


def test_combinations_are_numbered_and_unknown_ones_told_apart():
    made = layer()
    labels = torch.tensor([*KNOWN, (4, 0), (5, 3), (0, 1), (-1, -1)])
    assert made.index_of(labels)[:, 0].tolist() == [0, 1, 2, 3, 4, 5, -1, -1, -1, -1]
    mixed = made.index_of(MixedLabels(labels, labels.flip(0), torch.rand(len(labels))))
    assert mixed.a.flip(0).tolist() == mixed.b.tolist()


def test_shares_of_a_class_are_the_derivatives_of_its_summed_exponentials():
    made = layer()
    logits = made(torch.randn(4, 8)).detach().requires_grad_()
    labels = torch.tensor([1, 0, 5, 4])
    for row, label in enumerate(labels[:3].tolist()):
        members = [k for k, combination in enumerate(KNOWN) if combination[0] == label]
        (expected,) = torch.autograd.grad(logits[row, members].logsumexp(0), logits)
        torch.testing.assert_close(made.share_in(0, labels, logits)[row], expected[row])
    assert made.share_in(0, labels, logits)[3].sum() == 0  # no combination has root 4


def test_one_batch_is_learned_by_heart_and_read_without_the_layers_of_heads():
    made = net()
    module = ClassifierModule(HEADS, made, CrossEntropy(), lambda groups: torch.optim.AdamW(groups, 1e-2))
    optimizer = torch.optim.AdamW(parameter_groups(made, 0.0), 1e-2)
    images = torch.randint(0, 256, (7, 1, 16, 24), dtype=torch.uint8)
    for _ in range(100):
        *logits, whole = made(images)
        loss = module.loss(logits, TRAINING, (whole, made.combinations.index_of(TRAINING)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert len(module(images)) == len(HEADS)
    # the two equal labels need not have equal images: all are told apart
    assert torch.equal(torch.stack([x.argmax(1) for x in module(images)], 1), TRAINING)
    assert not made.head_layers


def test_a_checkpoint_brings_its_combinations_to_a_network_that_has_none():
    trained, again = net().eval(), MultiHeadClassifier(HEADS, options=OPTIONS, grapheme_head=True).eval()
    again.load_state_dict(trained.state_dict())
    images = torch.randint(0, 256, (3, 1, 16, 24), dtype=torch.uint8)
    for ours, theirs in zip(again(images), trained(images), strict=True):
        assert torch.equal(ours, theirs)
    other = MultiHeadClassifier(HEADS, options=OPTIONS, grapheme_head=True)
    other.learn_labels(TRAINING[:3])
    with pytest.raises(RuntimeError, match="size mismatch"):
        other.load_state_dict(trained.state_dict())


def test_more_combinations_than_numbers_are_refused():
    with pytest.raises(InputError, match=r"model\.grapheme_head"):
        CombinationHead(Heads.from_config({f"h{k}": {"classes": 2000} for k in range(6)}), 8)
