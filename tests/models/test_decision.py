"""Dividing by the prior: for posteriors that are known, the rule and its fitted power are the best there are."""

import numpy as np
import pytest
import torch

from okkhor.heads import Heads
from okkhor.models.decision import PriorCorrection, fitted_power
from okkhor.models.losses import CrossEntropy
from okkhor.models.metrics import HeadsScore

PRIOR = np.array([0.55, 0.25, 0.12, 0.05, 0.03])
CLASSES = len(PRIOR)
HEADS = Heads.from_config({"a": {"classes": CLASSES}})


def drawn(count, seed=0, spread=1.0):
    """Points around five centers, drawn with unequal priors: labels (N,), and the true log posteriors (N, 5)."""
    random = np.random.default_rng(seed)
    centers = 1.6 * random.normal(size=(CLASSES, 2))
    labels = random.choice(CLASSES, count, p=PRIOR)
    points = centers[labels] + random.normal(size=(count, 2)) * spread
    squared = ((points[:, None] - centers[None]) ** 2).sum(2)
    joint = torch.from_numpy(np.log(PRIOR) - squared / (2 * spread**2))
    return torch.from_numpy(labels), joint.log_softmax(1).float()


def rule(power, heads=HEADS, prior=PRIOR):
    made = PriorCorrection(heads, power)
    made.learn_labels(torch.from_numpy(np.repeat(np.arange(CLASSES), (1000 * prior).astype(int)))[:, None])
    return made


def recall(logits, labels):
    metric = HeadsScore(HEADS)
    metric.update(logits.argmax(1, keepdim=True), labels[:, None])
    return float(metric.compute()["score"])


def test_for_calibrated_posteriors_the_power_is_one_and_macro_recall_the_best_there_is():
    labels, log_posteriors = drawn(100_000)
    scores = {power: recall(rule(power)([log_posteriors])[0], labels) for power in (0.0, 0.4, 0.7, 1.0, 1.3, 2.0)}
    assert scores[1.0] > scores[0.0] + 0.05
    assert max(scores, key=scores.get) == 1.0
    assert fitted_power(log_posteriors, labels) == pytest.approx(1.0, abs=0.02)
    # the Bayes rule of equally common classes: the nearest center, whatever the prior
    likelihoods = log_posteriors - torch.from_numpy(PRIOR).log()
    corrected = rule(1.0)([log_posteriors])[0]
    assert (corrected.argmax(1) == likelihoods.argmax(1)).float().mean() > 0.9999


@pytest.mark.parametrize("sharpness", [0.6, 0.9, 1.15])
def test_of_a_network_that_is_too_sure_or_not_enough_the_power_still_gives_the_bayes_rule(sharpness):
    # log posteriors that are so many times too small: the true ones to a power, which T = sharpness calibrates
    labels, log_posteriors = drawn(50_000, seed=1)
    learned = log_posteriors * sharpness
    power = fitted_power(learned, labels)
    assert power == pytest.approx(sharpness, abs=0.03)
    others, true = drawn(50_000, seed=1)
    best = recall(true - torch.from_numpy(PRIOR).log(), others)
    assert recall(rule(power)([true * sharpness])[0], others) == pytest.approx(best, abs=0.003)


def test_power_is_told_from_few_images_and_from_likelihood_alone():
    labels, log_posteriors = drawn(2_000, seed=2)
    assert fitted_power(log_posteriors + 7.0, labels) == fitted_power(log_posteriors, labels)
    assert 0.9 <= fitted_power(log_posteriors, labels) <= 1.1


def test_corrected_posteriors_are_posteriors_divided_by_the_prior_renormalized_and_undone():
    _, log_posteriors = drawn(50)
    made = rule(0.7)
    (corrected,) = made([log_posteriors])
    expected = log_posteriors.exp() / torch.from_numpy(PRIOR).float() ** 0.7
    torch.testing.assert_close(corrected.softmax(1), expected / expected.sum(1, keepdim=True))
    torch.testing.assert_close(made.undone([corrected.log_softmax(1)])[0].log_softmax(1), log_posteriors)


def test_a_class_without_a_training_image_gets_no_lift():
    made = PriorCorrection(HEADS, 1.0)
    made.learn_labels(torch.tensor([[0], [0], [0], [1]]))
    torch.testing.assert_close(
        made.of_heads["a"].log_prior, torch.tensor([0.75, 0.25, 1, 1, 1]).log()
    )  # dividing by 1 leaves it
    flat = torch.zeros(1, CLASSES)
    assert made([flat])[0].argmax() == 1


def test_a_power_that_is_to_be_fitted_is_argmax_until_then():
    _, log_posteriors = drawn(200)
    made = rule(None)
    assert made.to_be_fitted
    assert torch.equal(made([log_posteriors])[0], log_posteriors)
    made.set_powers([0.5])
    assert made.powers == {"a": 0.5}
    assert not torch.equal(made([log_posteriors])[0], log_posteriors)


def test_prior_and_power_lie_in_the_weights():
    made, again = rule(0.8), PriorCorrection(HEADS)
    again.load_state_dict(made.state_dict())
    _, log_posteriors = drawn(20)
    assert torch.equal(made([log_posteriors])[0], again([log_posteriors])[0])
    assert not CrossEntropy().state_dict()
