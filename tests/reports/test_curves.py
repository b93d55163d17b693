import numpy as np
import pytest

from okkhor.heads import Head, Heads
from okkhor.reports.curves import draw_curves, read_metrics, steps_per_epoch

HEADS = Heads([Head("root", "grapheme_root", 5, 2.0), Head("vowel", "vowel_diacritic", 3)])

LOGGED = """epoch,step,train/loss,val/loss,val/score,val/recall_root,val/recall_vowel,lr
0,4,2.0,,,,,
,4,,,,,,0.001
0,9,1.5,,,,,
0,9,,1.4,0.5,0.4,0.7,
1,14,1.2,,,,,
1,19,1.0,,,,,
1,19,,1.1,0.8,0.75,0.9,
"""


@pytest.fixture
def metrics_csv(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text(LOGGED)
    return path


def test_reads_each_metric_where_its_cells_are_filled(metrics_csv):
    metrics = read_metrics(metrics_csv)
    assert metrics["train/loss"][0].tolist() == [4, 9, 14, 19]
    assert metrics["val/score"][1].tolist() == [0.5, 0.8]
    assert metrics["lr"][1].tolist() == [0.001]
    assert steps_per_epoch(metrics) == 10


def test_resumed_run_that_appended_a_new_header_repeats_steps(metrics_csv):
    with metrics_csv.open("a") as file:
        file.write("step,val/score,epoch,train/loss\n19,0.9,1,0.7\n24,,2,0.5\n29,nan,2,\ntorn li")
    metrics = read_metrics(metrics_csv)
    assert metrics["val/score"][1].tolist() == [0.5, 0.9]  # the later row of a step counts, nan is left out
    assert metrics["train/loss"][1].tolist() == [2.0, 1.5, 1.2, 0.7, 0.5]
    assert steps_per_epoch(metrics) == 10


def test_absent_file_has_no_curves(tmp_path):
    assert read_metrics(tmp_path / "metrics.csv") == {}
    assert draw_curves({}, HEADS) is None


@pytest.mark.parametrize("head", HEADS)
def test_title_names_best_score_and_epoch_and_every_head_is_drawn(metrics_csv, head):
    figure = draw_curves(read_metrics(metrics_csv), HEADS)
    texts = [text.get_text() for text in figure.texts] + [t.get_text() for axes in figure.axes for t in axes.texts]
    assert "Validation score 0.800, reached in the last epoch" in texts
    assert any(text.startswith(head.name) for text in texts)
    assert {axes.get_xlabel() for axes in figure.axes} <= {"", "epoch"}


def test_curves_end_at_their_epoch(metrics_csv):
    figure = draw_curves(read_metrics(metrics_csv), HEADS)
    ends = {round(float(line.get_xdata()[-1]), 6) for axes in figure.axes for line in axes.lines}
    assert max(ends) == 2


@pytest.mark.parametrize("keep", ["train/loss", "val/score", "val/loss"])
def test_any_single_metric_is_enough(metrics_csv, keep):
    metrics = {name: curve for name, curve in read_metrics(metrics_csv).items() if name == keep}
    figure = draw_curves(metrics, HEADS)
    figure.canvas.draw()
    assert any(len(axes.lines) for axes in figure.axes)


def test_names_at_the_ends_do_not_overlap(tmp_path):
    heads = Heads([Head(f"h{k}", f"h{k}", 3) for k in range(6)])
    steps = np.arange(5)
    metrics = {f"val/recall_{h.name}": (steps, np.linspace(0.1, 0.99, 5)) for h in heads}
    metrics["val/score"] = (steps, np.linspace(0.1, 0.99, 5))
    figure = draw_curves(metrics, heads)
    figure.canvas.draw()
    boxes = sorted(
        (text.get_window_extent().y0 + text.get_window_extent().y1) / 2
        for axes in figure.axes
        for text in axes.texts
        if text.get_text() != "not logged"
    )
    assert len(boxes) == 7
    assert min(np.diff(boxes)) > 15  # pixels at 144 an inch: 7.5 points
