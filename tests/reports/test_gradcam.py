import numpy as np
import pytest

from okkhor.heads import Head
from okkhor.reports import style
from okkhor.reports.gradcam import HEAT, Explained, draw_gradcam, spread, surest_mistakes
from okkhor.reports.naming import Naming
from okkhor.reports.recall import HeadResult


def readings(weights, count=60, classes=4, accuracy=0.5, seed=0):
    rng = np.random.default_rng(seed)
    results, probabilities = [], []
    for k, weight in enumerate(weights):
        labels = rng.integers(0, classes, count)
        answer = np.where(rng.random(count) < accuracy, labels, (labels + 1) % classes)
        p = rng.random((count, classes))
        p[np.arange(count), answer] += 1 + rng.random(count)
        results.append(HeadResult.of(Head(f"h{k}", f"h{k}", classes, weight), labels, answer))
        probabilities.append(p / p.sum(1, keepdims=True))
    return results, probabilities


def test_heads_share_the_places_and_each_shows_its_surest_mistakes():
    results, probabilities = readings([1, 2, 1])
    chosen = surest_mistakes(results, probabilities, most=12)
    assert chosen[:, 1].tolist() == [1] * 4 + [0] * 4 + [2] * 4
    for k in range(3):
        result, p = results[k], probabilities[k]
        given = p[np.arange(len(p)), result.predicted]
        mine = chosen[chosen[:, 1] == k, 0]
        assert (result.labels[mine] != result.predicted[mine]).all()
        left_out = np.setdiff1d(np.flatnonzero(result.labels != result.predicted), mine)
        assert given[mine].min() >= given[left_out].max()


def test_without_mistakes_there_is_nothing_to_explain():
    results, probabilities = readings([1], accuracy=2)
    chosen = surest_mistakes(results, probabilities)
    assert chosen.shape == (0, 2)
    nothing = Explained(chosen, np.empty((0, 4, 5), np.uint8), np.empty((0, 1, 1)), np.empty((0, 1, 1)))
    assert draw_gradcam(nothing, results, probabilities, Naming()) is None


def test_blank_maps_and_tall_images_are_drawn(tmp_path):
    results, probabilities = readings([1, 1], count=5, accuracy=0)
    chosen = surest_mistakes(results, probabilities)
    images = np.full((len(chosen), 40, 9), 250, np.uint8)
    truth, answer = np.zeros((len(chosen), 3, 1), np.float32), np.ones((len(chosen), 3, 1), np.float32)
    figure = draw_gradcam(Explained(chosen, images, truth, answer), results, probabilities, Naming())
    assert style.save(figure, tmp_path / "x.png").stat().st_size < style.MOST_BYTES


def test_a_print_in_gray_orders_the_heat_as_the_colors_do_and_leaves_ink_darker():
    gray = HEAT(np.linspace(0, 1, 50))[:, :3] @ (0.299, 0.587, 0.114)
    assert (np.diff(gray) < 0).all()
    assert gray[-1] > 0.45


def test_the_most_of_a_map_is_one_where_it_lies():
    heat = np.zeros((4, 5), np.float32)
    heat[1, 3] = 0.02
    fine = spread(heat, (50, 40))
    row, column = np.unravel_index(fine.argmax(), fine.shape)
    assert fine.max() == pytest.approx(1, abs=0.05)
    assert (row // 10, column // 10) == (1, 3)
    assert fine.min() >= 0
