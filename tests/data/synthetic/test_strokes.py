"""Tracing: drawings whose strokes are known."""

import cv2
import numpy as np
import pytest

from okkhor.data.synthetic.strokes import resample, smooth, trace


def draw(*lines, thickness=5):
    paper = np.zeros((80, 80), np.uint8)
    for line in lines:
        cv2.polylines(paper, [np.array(line, np.int32)], False, 255, thickness)
    return paper


def length(stroke):
    return float(np.hypot(*np.diff(stroke, axis=0).T).sum())


def test_a_line_is_one_stroke_along_its_middle():
    (stroke,) = trace(draw([(10, 40), (70, 40)]))
    assert np.abs(stroke[:, 1] - 40).max() <= 1.0
    assert 55 <= length(stroke) <= 66


def test_a_crossing_is_two_strokes_that_go_straight_on():
    strokes = trace(draw([(10, 10), (70, 70)], [(10, 70), (70, 10)]))
    assert len(strokes) == 2
    assert all(length(stroke) > 75 for stroke in strokes)


def test_a_branch_is_a_stroke_of_its_own():
    strokes = sorted(trace(draw([(10, 20), (70, 20)], [(40, 20), (40, 70)])), key=length)
    assert len(strokes) == 2
    branch, bar = strokes
    assert np.ptp(bar[:, 0]) > 50
    assert np.ptp(branch[:, 1]) > 40
    assert np.hypot(*(bar[:, None] - branch[None]).T).min() < 1.5, "the branch has come off the bar"


def test_a_ring_closes():
    paper = np.zeros((80, 80), np.uint8)
    cv2.circle(paper, (40, 40), 20, 255, 5)
    (stroke,) = trace(paper)
    assert np.hypot(*(stroke[0] - stroke[-1])) <= 1.5
    assert np.abs(np.hypot(*(stroke - 40).T) - 20).max() < 2.5


def test_a_dot_survives():
    paper = np.zeros((40, 40), np.uint8)
    cv2.circle(paper, (20, 20), 3, 255, -1)
    (stroke,) = trace(paper)
    assert np.abs(stroke - 20).max() < 3


def test_all_ink_is_near_a_stroke_and_every_stroke_in_ink():
    paper = draw([(10, 15), (70, 15), (35, 74)], [(20, 15), (15, 60), (60, 45)])
    points = np.concatenate([resample(stroke, spacing=1.0) for stroke in trace(paper)])
    ink = np.argwhere(paper > 0)[:, ::-1]
    assert np.hypot(*(ink[:, None] - points[None]).T).min(0).max() < 8
    assert (paper[np.round(points[:, 1]).astype(int), np.round(points[:, 0]).astype(int)] > 0).mean() > 0.97


@pytest.mark.parametrize("paper", [np.zeros((0, 0), np.uint8), np.zeros((30, 30), np.uint8)])
def test_no_ink_no_strokes(paper):
    assert trace(paper) == []


def test_resampled_points_are_evenly_spaced_and_keep_the_ends():
    line = np.float32([[0, 0], [10, 0], [10, 3]])
    even = resample(line, spacing=1.0)
    steps = np.hypot(*np.diff(even, axis=0).T)
    np.testing.assert_allclose(even[[0, -1]], line[[0, -1]])
    assert len(even) == 14
    assert np.median(steps) == pytest.approx(1.0)
    assert len(resample(line, count=5)) == 5


def test_smoothing_rounds_corners_but_keeps_open_ends_and_straight_lines():
    corner = resample(np.float32([[0, 0], [20, 0], [20, 20]]), spacing=1.0)
    rounded = smooth(corner, 3.0)
    np.testing.assert_allclose(rounded[[0, -1]], corner[[0, -1]], atol=1e-4)
    assert np.hypot(*(rounded - [20, 0]).T).min() > 1.0
    straight = resample(np.float32([[0, 0], [20, 10]]), spacing=1.0)
    np.testing.assert_allclose(smooth(straight, 3.0), straight, atol=1e-4)
