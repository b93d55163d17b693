"""Every loss: cross-entropy in its neutral setting, values and gradients; mixed labels; and what is its own."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from okkhor.augment.batch import MixedLabels
from okkhor.heads import Heads
from okkhor.models.losses import OHEM, ClassBalanced, CrossEntropy, Focal, HeadsLoss

HEADS = Heads.from_config({"a": {"classes": 5, "weight": 2}, "b": {"classes": 3}, "c": {"classes": 4}})
NEUTRAL = {
    "cross_entropy": CrossEntropy,
    "focal": lambda smoothing: Focal(gamma=0, smoothing=smoothing),
    "ohem": lambda smoothing: OHEM(share=1, smoothing=smoothing),
    "class_balanced": lambda smoothing: ClassBalanced(beta=0, power=0, smoothing=smoothing),
}
STRONG = {"focal": Focal(2.0), "ohem": OHEM(0.5), "class_balanced": ClassBalanced(0.99, 0.3)}


def logits_and_labels(batch=8, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    logits = [torch.randn(batch, k, generator=generator, dtype=dtype) * 3 for k in HEADS.classes]
    labels = torch.stack([torch.randint(k, (batch,), generator=generator) for k in HEADS.classes], 1)
    return [x.requires_grad_() for x in logits], labels


def training_labels():
    """Of 300 images, the classes unequally common, one of them absent."""
    generator = torch.Generator().manual_seed(5)
    labels = [torch.multinomial(torch.arange(k).double(), 300, True, generator=generator) for k in HEADS.classes]
    return torch.stack(labels, 1)


def mixed(labels):
    lam = torch.rand(len(labels), generator=torch.Generator().manual_seed(1))
    return MixedLabels(labels, labels.flip(0), lam)


def soft(labels, column, classes):
    """One row of target probabilities a sample."""
    if not isinstance(labels, MixedLabels):
        return functional.one_hot(labels[:, column], classes).double()
    a, b = (functional.one_hot(side[:, column], classes).double() for side in (labels.a, labels.b))
    return labels.lam[:, None] * a + (1 - labels.lam[:, None]) * b


@pytest.mark.parametrize("how", [lambda labels: labels, mixed], ids=["plain", "mixed"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("name", NEUTRAL)
def test_in_its_neutral_setting_it_is_torchs_cross_entropy_with_its_gradients(name, smoothing, how):
    loss = HeadsLoss(HEADS, NEUTRAL[name](smoothing))
    if loss.needs_labels:
        loss.learn_labels(training_labels())
    logits, labels = logits_and_labels()
    labels = how(labels)
    found = loss(logits, labels)
    expected = sum(
        share * functional.cross_entropy(x, soft(labels, k, x.shape[1]), label_smoothing=smoothing)
        for k, (x, share) in enumerate(zip(logits, HEADS.shares, strict=True))
    )
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(torch.autograd.grad(found, logits), torch.autograd.grad(expected, logits), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", STRONG)
def test_padding_adds_nothing_and_half_precision_is_summed_in_single(name):
    loss = HeadsLoss(HEADS, STRONG[name])
    logits, labels = logits_and_labels()
    padded = [torch.cat([x, torch.full((2, x.shape[1]), 9.0)]) for x in logits]
    with_padding = torch.cat([labels, torch.full((2, 3), -1)])
    found = loss.per_sample(padded, with_padding)
    assert torch.equal(found[:8], loss.per_sample(logits, labels))
    assert found[8:].tolist() == [0, 0]
    assert torch.isfinite(torch.cat([g.flatten() for g in torch.autograd.grad(found.sum(), logits)])).all()
    assert loss([x.bfloat16() for x in logits], labels).dtype == torch.float32


@pytest.mark.parametrize("name", STRONG)
def test_in_its_own_setting_it_is_another_loss(name):
    loss = HeadsLoss(HEADS, STRONG[name])
    if loss.needs_labels:
        loss.learn_labels(training_labels())
    logits, labels = logits_and_labels()
    assert not torch.isclose(loss(logits, labels), HeadsLoss(HEADS, CrossEntropy())(logits, labels), rtol=0.01)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_is_the_papers_formula_and_finite_where_all_is_read_right(gamma):
    logits, labels = (x[0] if isinstance(x, list) else x[:, 0] for x in logits_and_labels())
    p = logits.softmax(1)[torch.arange(8), labels]
    torch.testing.assert_close(Focal(gamma)(logits, labels), -((1 - p) ** gamma) * p.log())
    sure = (functional.one_hot(labels, 5) * 400.0).requires_grad_()
    Focal(gamma, 0.1)(sure, labels).sum().backward()
    assert torch.isfinite(sure.grad).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_class_balanced_is_torchs_weighted_cross_entropy_with_the_papers_weights(smoothing):
    counts = torch.tensor([100, 40, 7, 1])
    loss = ClassBalanced(0.9, smoothing=smoothing).of_head(4)
    loss.learn_counts(counts)
    effective = (1 - 0.9 ** counts.numpy().astype(float)) / (1 - 0.9)
    expected = 1 / effective
    assert np.allclose(loss.weight / loss.weight[0], expected / expected[0])
    assert np.isclose((loss.weight * counts).sum() / counts.sum(), 1)  # the mean over the training images
    logits = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(9) % 4
    torch.testing.assert_close(
        loss(logits, labels),
        functional.cross_entropy(logits, labels, loss.weight, label_smoothing=smoothing, reduction="none"),
    )


def test_inverse_frequency_lets_all_classes_count_the_same_and_an_absent_one_as_a_single_image():
    loss = ClassBalanced(0.0, power=1.0).of_head(4)
    counts = torch.tensor([60, 30, 1, 0])
    loss.learn_counts(counts)
    torch.testing.assert_close((loss.weight * counts)[:3], torch.full((3,), 91 / 3))
    assert loss.weight[3] == loss.weight[2]


def test_weights_of_classes_go_into_the_checkpoint_and_come_back_without_the_data():
    trained, again = (HeadsLoss(HEADS, ClassBalanced(0.9)) for _ in range(2))
    trained.learn_labels(training_labels())
    again.load_state_dict(trained.state_dict())
    logits, labels = logits_and_labels()
    assert torch.equal(again(logits, labels), trained(logits, labels))
    assert not HeadsLoss(HEADS, CrossEntropy()).state_dict()  # so that a checkpoint of before still loads


@pytest.mark.parametrize("share", [0.3, 0.5, 0.75])
def test_ohem_trains_on_the_hardest_share_of_each_head_alone(share):
    logits, labels = logits_and_labels(batch=20)
    labels = mixed(labels)
    found = HeadsLoss(HEADS, OHEM(share))(logits, labels)
    kept = int(np.ceil(share * 20))
    expected = 0.0
    for k, (x, weight) in enumerate(zip(logits, HEADS.shares, strict=True)):
        each = functional.cross_entropy(x, soft(labels, k, x.shape[1]), reduction="none")
        expected = expected + weight * each.sort(descending=True).values[:kept].mean()
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(torch.autograd.grad(found, logits), torch.autograd.grad(expected, logits), strict=True):
        torch.testing.assert_close(ours, theirs)
        assert (ours == 0).all(1).sum() == 20 - kept


def test_ohem_scores_validation_by_every_image_and_keeps_one_at_least():
    logits, labels = logits_and_labels()
    plain, hardest = HeadsLoss(HEADS, CrossEntropy()), HeadsLoss(HEADS, OHEM(0.01))
    assert torch.equal(hardest.per_sample(logits, labels), plain.per_sample(logits, labels))
    one = [x[:1] for x in logits]
    torch.testing.assert_close(hardest(one, labels[:1]), plain(one, labels[:1]))


def test_of_equal_losses_no_more_than_the_share_are_kept_and_padding_is_not_chosen():
    losses = torch.ones(10, 2)
    real = torch.arange(10) < 8
    weighed = OHEM(0.5).weigh(losses, real)
    assert weighed.tolist() == [[2.0, 2.0]] * 4 + [[0.0, 0.0]] * 6  # 8 real ones, 4 kept, doubled


def test_a_loss_of_combinations_is_added_to_those_of_the_heads():
    logits, labels = logits_and_labels()
    labels = mixed(labels)
    whole = torch.randn(8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    which = MixedLabels(torch.arange(8)[:, None] % 6, torch.arange(8)[:, None] % 4, labels.lam)
    loss = HeadsLoss(HEADS, CrossEntropy(0.1))
    added = functional.cross_entropy(whole, soft(which, 0, 6), label_smoothing=0.1)
    torch.testing.assert_close(loss(logits, labels, (whole, which)), loss(logits, labels) + added)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: CrossEntropy(1.0), "smoothing"),
        (lambda: Focal(-1), "gamma"),
        (lambda: OHEM(0), "share"),
        (lambda: OHEM(1.1), "share"),
        (lambda: ClassBalanced(1.0), "beta"),
        (lambda: ClassBalanced(power=-1), "power"),
    ],
)
def test_impossible_settings_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()
