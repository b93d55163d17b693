"""Charts and pictures of the single sections say what the labels are."""

import re

import numpy as np
import plotly.graph_objects as go
import pytest

from okkhor.reports.eda.cooccurrence import cooccurrence
from okkhor.reports.eda.distributions import distributions
from okkhor.reports.eda.folds import Balance, folds
from okkhor.reports.eda.opinions import Opinions
from okkhor.reports.eda.projection import place, projection
from okkhor.reports.eda.samples import samples
from okkhor.reports.eda.section import spaced
from okkhor.reports.naming import Naming

LABELS = np.array([[0, 0]] * 6 + [[1, 1]] * 3 + [[3, 1]])
PAPER = np.full((10, 20, 30), 250, np.uint8)


def valid(charts):
    """The charts as plotly takes them; raises for a property that it does not know."""
    return [go.Figure({"data": replaced(c.data), "layout": replaced(c.layout)}) for c in charts]


def replaced(value):
    """Colors that are named as the page's, as a color."""
    if isinstance(value, dict):
        return {key: replaced(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [replaced(inner) for inner in value]
    return "#123456" if isinstance(value, str) and value.startswith("--") else value


def test_distributions_count_classes_and_combinations(data_set):
    section = distributions(data_set(PAPER, LABELS, [4, 2]))
    first, second, combined = valid(section.charts)
    assert list(first.data[0].x) == ["0", "1", "3"]
    assert list(first.data[0].y) == [6, 3, 1]
    assert list(second.data[0].y) == [6, 4]
    assert list(combined.data[0].y) == [6, 3, 1]
    assert "1 of head0" in section.says  # class 2 has no image
    assert "Of 8 possible combinations of labels 3 occur" in section.says
    assert section.table[4] == ["head0", 2, "2", 0]


def test_pairs_of_classes_are_counted_where_they_meet(data_set):
    data = data_set(PAPER, LABELS, [4, 2])
    (chart,) = valid(cooccurrence(data).charts)
    counts = {(x, y): n for y, row in zip(chart.data[0].y, chart.data[0].customdata, strict=True)
              for x, n in zip(chart.data[0].x, row, strict=True)}  # fmt: skip
    assert counts == {("0", "0"): 6, ("1", "1"): 3, ("3", "1"): 1, ("1", "0"): 0, ("3", "0"): 0, ("0", "1"): 0}
    assert chart.data[0].z[0][1] is None  # nothing, which has no logarithm


def test_a_single_head_has_no_other(data_set):
    data = data_set(PAPER, LABELS[:, :1], [4])
    assert cooccurrence(data) is None
    assert len(distributions(data).charts) == 1


def test_samples_show_images_of_the_class_beside_its_name(data_set):
    images = PAPER.copy()
    images[6:9] = 10
    data = data_set(images, LABELS, [4, 2], Naming({"head0": ["ka", "<b>", "nothing", "kha"]}))
    body = samples(data).body
    assert "&lt;b&gt;" in body
    assert "nothing" not in body
    row = body[body.index("&lt;b&gt;") :].split('<div class="row">')[0]
    assert row.count("<img") == 3
    assert len(set(re.findall(r'src="([^"]+)"', row))) == 1  # all three are the dark one


def test_the_balance_of_folds():
    labels, fold = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0, 0])
    balance = Balance.of(labels, fold, 2, 3)
    assert balance.counts.tolist() == [[2, 2, 0], [2, 0, 0]]
    assert np.allclose(balance.even, [[8 / 3, 4 / 3, 0], [4 / 3, 2 / 3, 0]])
    assert np.allclose(balance.off[:, :2], [[-0.25, 0.5], [0.5, -1]])
    assert np.isnan(balance.off[:, 2]).all()


def test_folds_are_those_that_training_uses(data_set, drawings):
    labels = np.arange(60)[:, None] % 3
    data = data_set(drawings, labels, [3])
    section = folds(data)
    assert (data.store.path / "train_folds_3_seed0.csv").is_file()
    assert "every class is in every fold" in section.says
    assert section.body.count("<tr><td>") == 3


def test_too_few_images_for_folds_are_said(data_set):
    assert "cannot be divided" in folds(data_set(PAPER[:2], LABELS[:2], [4, 2])).says


@pytest.mark.parametrize("count", [1, 4, 9, 40])
def test_any_number_of_images_is_laid_on_the_plane(count):
    plane = place(np.random.default_rng(0).normal(size=(count, 12)).astype(np.float32), 0)
    assert plane.shape == (count, 2)
    assert np.isfinite(plane).all()
    assert np.abs(plane).max() <= 1 + 1e-6


def test_each_point_leads_to_its_image(data_set):
    images = np.repeat(np.repeat(np.arange(0, 250, 25, dtype=np.uint8)[:, None, None], 20, 1), 30, 2)
    data = data_set(images, LABELS, [4, 2])
    rows = np.array([9, 0, 6, 1, 2])
    none = np.zeros((5, 2))
    opinions = Opinions(
        rows, none.astype(np.int64), none, none, None, np.random.default_rng(0).normal(size=(5, 3)), "r"
    )
    section, sheet = projection(data, opinions)
    for chart in valid(section.charts):
        at = sorted(k for trace in chart.data for k in trace.customdata)
        assert at == [0, 1, 2, 3, 4]
    (trace,) = [t for t in section.charts[0].data if t["name"] == "3"]
    assert trace["customdata"] == [0]  # the first of the rows, image 9, is the only one of class 3
    assert sheet.across == 5


def test_a_sign_after_a_word_keeps_its_circle():
    assert spaced("none → ◌া & ক") == 'none → <span class="bn">◌া</span> &amp; <span class="bn">ক</span>'
