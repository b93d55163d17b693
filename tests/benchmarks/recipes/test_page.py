"""The page: differences, what is called none, and what has not been measured."""

import pytest

from okkhor.benchmarks.recipes.page import noise, page
from okkhor.benchmarks.recipes.plan import Plan, Row

GROUPS = {"baseline": {"heading": "Baseline"}, "trick": {"heading": "Tricks"}, "race": {"heading": "Race"}}
MACHINE = {"processor": "a processor", "usable_cores": 2, "packages": {"torch": "2.14.1"}}


def row(name, group="trick", **fields):
    return Row(name, group, (f"word={name}",), f"what {name} is", **fields)


def plan(*rows):
    return Plan((*(row(f"seed {n}", "baseline") for n in range(3)), *rows), GROUPS)


def results(**scores):
    found = {"seed 0": 0.70, "seed 1": 0.71, "seed 2": 0.72, **scores}
    return {
        name: {"metrics": {"val/score": x, "val/score_unseen": x / 2, "seconds": 60, "epochs": 3}, "machine": MACHINE}
        for name, x in found.items()
    }


def line(text, name):
    (found,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_noise_is_the_mean_and_the_range_of_the_seeds():
    found = noise(plan(), results())
    assert found.mean == pytest.approx(0.71)
    assert found.range == pytest.approx(0.02)
    assert found.unseen == pytest.approx(0.355)
    assert noise(plan(), {"seed 0": results()["seed 0"]}) is None


@pytest.mark.parametrize(("score", "verdict"), [(0.729, "none"), (0.691, "none"), (0.74, "better"), (0.68, "worse")])
def test_a_difference_within_the_noise_is_called_none(score, verdict):
    cells = line(page(plan(row("x")), results(x=score), "make"), "x")
    assert cells[2] == f"{score:.4f}"
    assert cells[3] == f"{score - 0.71:+.4f}"
    assert cells[4] == verdict
    assert cells[5] == f"{score / 2:.3f}"


def test_a_row_may_be_compared_with_another_than_the_baseline():
    cells = line(page(plan(row("x"), row("y", against="x")), results(x=0.80, y=0.83), "make"), "y")
    assert cells[3] == "+0.0300 to x"
    assert cells[4] == "better"


def test_what_has_no_result_is_said_to_be_not_measured():
    text = page(plan(row("x")), results(), "make")
    assert line(text, "x")[2] == "not measured"
    assert "a processor, 2 cores, PyTorch 2.14.1" in text


def test_a_race_tells_times_and_their_ratio_only_when_both_arrived():
    runners = row("ours", "race", until=0.6), row("theirs", "race", until=0.6)
    both = results(ours=0.61, theirs=0.62)
    both["theirs"]["metrics"]["seconds"] = 150
    assert "theirs takes 2.5 times as long as ours" in page(plan(*runners), both, "make")
    short = page(plan(*runners), results(ours=0.61, theirs=0.4), "make")
    assert "times as long" not in short
    assert "never 0.6" in short


def test_what_helped_what_did_nothing_and_what_cost_is_told_first_best_first():
    groups = GROUPS | {"long": {"heading": "Long", "apart": True}}
    rows = (
        row("up"),
        row("higher"),
        row("flat"),
        row("down"),
        row("long", "long"),
        row("mixed", "long", against="long"),
    )
    found = results(up=0.75, higher=0.80, flat=0.71, down=0.5, long=0.9, mixed=0.8)
    text = page(Plan(plan(*rows).rows, groups), found, "make")
    short = text[text.index("## In short") : text.index("## Baseline")]
    assert "- Helped: higher (+0.090), up (+0.040)\n" in short
    assert "- Within the noise: flat (+0.000)\n" in short
    assert "- Cost: mixed (-0.100), down (-0.210)\n" in short
    assert "## In short" not in page(plan(row("x")), results(), "make")
