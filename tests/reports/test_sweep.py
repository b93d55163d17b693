"""The picture of a sweep: every job is in it, whatever was varied and however many there are."""

import math

import numpy as np
import pytest
from matplotlib.patches import PathPatch

from okkhor.reports.style import DPI, WIDTH
from okkhor.reports.sweep import BEST, MOST_AXES, Point, draw_sweep


def texts(figure):
    return [t.get_text() for t in figure.texts] + [t.get_text() for axes in figure.axes for t in axes.texts]


def lines(figure):
    return [patch for axes in figure.axes for patch in axes.patches if isinstance(patch, PathPatch)]


def random_search(count, seed=0):
    draw = np.random.default_rng(seed)
    for n in range(count):
        varied = {
            "optimizer.lr": repr(10 ** draw.uniform(-4, -1)),
            "model.dropout": repr(draw.uniform(0, 0.5)),
            "aug": str(draw.choice(["none", "light", "cutmix"])),
            "data.size": "[24,40]",  # the same in all: no axis of its own
        }
        status = str(draw.choice(["done", "done", "done", "failed", "pruned"]))
        yield Point(n, varied, draw.uniform(0.5, 0.9) if status == "done" else None, status)


@pytest.mark.parametrize("count", [2, 7, 60])
def test_each_job_with_a_score_is_a_line_and_the_best_stands_out(count):
    points = [*random_search(count - 1), Point(count, dict(next(random_search(1)).varied, aug="light"), 0.95, "done")]
    figure = draw_sweep(points, "val/score")
    scored = [point for point in points if point.score is not None]
    found = lines(figure)
    assert len(found) == len(scored)
    (best,) = [line for line in found if line.get_linewidth() > 2]
    assert np.allclose(best.get_edgecolor()[:3], [int(BEST[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    said = texts(figure)
    assert f"val/score 0.9500 in job {count}" in said[0]
    assert "size" not in said
    for status in {point.status for point in points} - {"done"}:
        assert status in said


@pytest.mark.parametrize("count", [2, 12, 60])
def test_nothing_is_drawn_outside_the_picture(count):
    figure = draw_sweep(list(random_search(count, seed=3)), "val/score")
    figure.canvas.draw()
    width, height = figure.get_size_inches() * DPI
    assert width == WIDTH * DPI
    for text in [*figure.texts, *(t for axes in figure.axes for t in axes.texts)]:
        box = text.get_window_extent()
        assert box.x0 >= 0, text
        assert box.x1 <= width, text
        assert 0 <= box.y0 <= box.y1 <= height, text


def axis_heights(values):
    points = [Point(n, {"a.b": value}, float(n), "done") for n, value in enumerate(values)]
    return [line.get_path().vertices[0][1] for line in sorted(lines(draw_sweep(points, "s")), key=_score_height)]


def _score_height(line):
    return line.get_path().vertices[-1][1]


def test_numbers_stand_to_scale_by_their_logarithms_where_that_spreads_them():
    assert np.allclose(axis_heights(["1e-4", "1e-3", "1e-2", "1e-1", "1"]), [0, 0.25, 0.5, 0.75, 1])
    assert np.allclose(axis_heights(["0.1", "0.2", "0.3", "0.5"]), [0, 0.25, 0.5, 1])


def test_words_and_few_numbers_have_a_place_each():
    heights = axis_heights(["small", "resnet18", "small", "small"])
    assert len(set(heights)) == 4  # jobs that share a choice are told apart
    assert max(heights[0], *heights[2:]) < heights[1] - 0.5
    low, high, *rest = axis_heights(["16", "64", "16", "64", "64"])
    assert low < 0.2
    assert high > 0.8
    assert all(min(abs(h - low), abs(h - high)) < 0.2 for h in rest)


def test_less_can_be_better():
    points = [Point(n, {"a": str(n)}, score, "done") for n, score in enumerate([0.3, 0.1, 0.2])]
    assert "0.1000 in job 1" in texts(draw_sweep(points, "val/loss", maximize=False))[0]


def test_more_options_than_fit_are_left_out_and_counted():
    points = [Point(n, {f"o{k}": str(n * k) for k in range(1, MOST_AXES + 4)}, n / 10, "done") for n in range(4)]
    said = texts(draw_sweep(points, "val/score"))
    assert any(f"{MOST_AXES} of the {MOST_AXES + 3} options" in text for text in said)


@pytest.mark.parametrize(
    "points",
    [
        [Point(0, {}, 0.5, "done")],
        [Point(0, {"a": "1"}, None, "failed"), Point(1, {"a": "2"}, None, "pruned")],
        [Point(n, {"a": str(n)}, 0.5, "done") for n in range(3)],
        [Point(0, {"a": "1"}, math.nan, "done"), Point(1, {"a": "2"}, 0.1, "done")],
        [Point(n, {"a": "中文" * 30 + str(n)}, float(n), "done") for n in range(20)],
        [Point(5, {"a": "-1"}, -3.0, "done"), Point(9, {"a": "1e9"}, 1e6, "done")],
    ],
)
def test_odd_sweeps_are_drawn_too(points):
    figure = draw_sweep(points, "val/score")
    figure.canvas.draw()
    assert figure.texts
