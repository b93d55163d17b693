import json
import math

import pytest

from okkhor.benchmarks.rounds import Figure, Goal, Side, alternate


def figure(ours, other, goal=None):
    return Figure("part", "name", Side("a", "s", ours), Side("b", "s", other), goal)


def test_sides_take_turns_and_each_is_measured_once_a_round():
    order, ticks = [], []

    def side(name):
        return lambda: order.append(name) or len(order)

    results = alternate({"a": side("a"), "b": side("b")}, 3, ticks.append, "part")
    assert "".join(order) == "abbaab"
    assert results == {"a": [1, 4, 5], "b": [2, 3, 6]}
    assert len(ticks) == 3


def test_the_ratio_is_taken_round_by_round_so_that_a_slow_spell_of_the_machine_falls_out():
    slow_spell = figure([1.0, 10.0, 1.1], [2.0, 20.0, 2.2])
    assert slow_spell.ratio.rounds == pytest.approx([0.5, 0.5, 0.5])
    assert figure([1.0, 2.0, 9.0], [1.0, 1.0, 1.0]).ratio.median == 2.0


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (None, None),
        (Goal(2), True),
        (Goal(1.9), False),
        (Goal(2, at_least=True), True),
        (Goal(2.1, at_least=True), False),
        (Goal(5.9, of="ours"), False),
        (Goal(6, of="ours"), True),
    ],
)
def test_goals_hold_for_the_median_of_the_ratio_or_of_our_side(goal, met):
    assert figure([4.0, 6.0, 60.0], [2.0, 3.0, 3.0], goal).met is met


def test_json_holds_every_round_and_the_goal():
    found = json.loads(json.dumps(figure([1.0, 3.0], [2.0, 2.0], Goal(3, at_least=True)).to_json()))
    assert found["ours"] == {"label": "a", "unit": "s", "median": 2.0, "min": 1.0, "max": 3.0, "rounds": [1.0, 3.0]}
    assert found["goal"] == {"of": "ratio", "at_least": 3}
    assert found["met"] is False
    assert math.isclose(found["ratio"]["median"], 1.0)
