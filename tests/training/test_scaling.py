import math

import pytest

from okkhor.training.scaling import scaled

OPTIONS = ["data.batch_size=48", "optimizer.lr=0.01"]


def rates(config):
    return config.optimizer.lr, config.scheduler.get("max_lr"), config.scheduler.get("eta_min")


def test_none_shares_the_batch_and_keeps_the_rate(compose):
    config = compose(*OPTIONS, "trainer.scale_lr=none")
    same, line = scaled(config, 4)
    assert (same.data.batch_size, same.optimizer.lr) == (48, 0.01)
    assert line == "scale_lr=none: batch 48, 12 in each of 4 processes; learning rate 0.01"


@pytest.mark.parametrize(("rule", "factor"), [("linear", 4.0), ("sqrt", 2.0)])
@pytest.mark.parametrize(
    "schedule", [["scheduler=one_cycle"], ["scheduler=cosine", "+scheduler.eta_min=0.001"], ["scheduler=constant"]]
)
def test_a_rule_scales_batch_and_every_rate_once(compose, rule, factor, schedule):
    config = compose(*OPTIONS, f"trainer.scale_lr={rule}", *schedule)
    before = rates(config)
    grown, line = scaled(config, 4)
    assert grown.data.batch_size == 4 * 48
    for old, new in zip(before, rates(grown), strict=True):
        assert (old is None) == (new is None)
        assert old is None or math.isclose(new, old * factor)
    assert "batch 192, 48 in each of 4 processes" in line
    assert f"learning rate {0.01 * factor:g}" in line
    assert rates(config) == before
    assert config.data.batch_size == 48


def test_one_process_changes_nothing_under_any_rule(compose):
    for rule in ("none", "linear", "sqrt"):
        config = compose(*OPTIONS, f"trainer.scale_lr={rule}")
        alone, _ = scaled(config, 1)
        assert (alone.data.batch_size, *rates(alone)) == (48, *rates(config))
