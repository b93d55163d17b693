import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from okkhor.heads import Head, Heads
from okkhor.reports.table import result_table

HEADS = Heads([Head("root", "grapheme_root", 168, 2.0), Head("vowel", "vowel_diacritic", 11)])
METRICS = {"val/score": 0.93421, "val/loss": 0.3312, "val/recall_root": 0.91, "val/recall_vowel": 0.95, "epochs": 12}


def printed(renderable, **console):
    out = StringIO()
    Console(file=out, **console).print(renderable)
    return out.getvalue()


@pytest.mark.parametrize("console", [{"width": 80}, {"width": 30}, {"width": 80, "force_terminal": True}, {}])
def test_paths_and_commands_stay_on_one_line_uncut(tmp_path, console):
    run = tmp_path / ("deep" * 20) / "default" / "2026-11-22_20-18-00"
    run.mkdir(parents=True)
    lines = printed(result_table(METRICS, HEADS, run_dir=run, seconds=5), **console).splitlines()
    assert sum(str(run.resolve()) in line for line in lines) == 2
    assert any(f"python scripts/evaluate.py {run.resolve()}" in line for line in lines)


def test_run_inside_the_working_directory_is_shown_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "a b" / "report").mkdir(parents=True)
    (tmp_path / "runs" / "a b" / "report" / "index.html").touch()
    text = printed(result_table(METRICS, HEADS, run_dir=Path("runs/a b"), seconds=None), width=80)
    assert "python scripts/evaluate.py 'runs/a b'" in text  # quoted for the shell
    assert "'runs/a b/report/index.html'" in text
    assert str(tmp_path) not in text


def test_shows_every_number_there_is(tmp_path):
    metrics = METRICS | {"test/score": 0.8765}
    text = printed(result_table(metrics, HEADS, run_dir=tmp_path, seconds=3725), width=80)
    for shown in ("0.9342", "0.8765", "0.3312", "recall root", "0.9100", "0.9500", "12 epochs", "1 h 02 min"):
        assert shown in text


def test_missing_numbers_leave_their_rows_out(tmp_path):
    text = printed(result_table({"val/score": 0.5}, HEADS, run_dir=tmp_path, seconds=None), width=80)
    assert "0.5000" in text
    assert "loss" not in text
    assert "time" not in text


def test_combinations_that_training_lacked_have_their_own_score_or_a_word(tmp_path):
    metrics = METRICS | {"val/score_seen": 0.9512, "val/images_seen": 2890, "val/images_unseen": 0}
    text = printed(result_table(metrics, HEADS, run_dir=tmp_path, seconds=None), width=100)
    assert re.search(r"score seen +0\.9512 +2,890 images of combinations seen in training", text)
    assert re.search(r"score unseen +no images of combinations never seen", text)
    metrics |= {"val/score_unseen": 0.6543, "val/images_unseen": 110}
    text = printed(result_table(metrics, HEADS, run_dir=tmp_path, seconds=None), width=100)
    assert re.search(r"score unseen +0\.6543 +110 images of combinations never seen", text)
    assert "seen" not in printed(result_table(METRICS, HEADS, run_dir=tmp_path, seconds=None), width=100)
