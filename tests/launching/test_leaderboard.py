"""Ranks, files and the command that repeats a job."""

import csv
import shlex

import pytest
from PIL import Image
from rich.console import Console

from okkhor.errors import JobFailedError
from okkhor.launching.backend import Status
from okkhor.launching.jobs import Job, Outcome
from okkhor.launching.leaderboard import Entry, Leaderboard, result_table
from okkhor.launching.words import read_words
from okkhor.runs import Run


@pytest.fixture
def words(sweep):
    launcher, _ = sweep()
    typed = [
        "name='it''s'".replace("''", "\\'"),
        "sweep=optuna",
        "sweep.trials=3",
        "optimizer.lr=0.1,1e-05",
        "seed=1,2",
    ]
    return read_words(launcher.loader, typed)


def entry(number, objective=None, status="done", **more):
    return Entry(number, {"optimizer.lr": "1e-05", "seed": str(number)}, status, objective, **more)


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("maximize", "order"), [(True, [2, 0, 3, 1, 4]), (False, [0, 3, 2, 1, 4])])
def test_best_first_then_those_without_a_score(tmp_path, words, maximize, order):
    board = Leaderboard(tmp_path, words, "val/score", maximize)
    board.add(
        entry(4, status="pruned"), entry(3, 0.5), entry(2, 0.9), entry(1, status="failed", reason="x"), entry(0, 0.5)
    )
    assert [e.number for e in board.ranked()] == order
    table = read(tmp_path / "leaderboard.csv")
    assert [int(row["job"]) for row in table] == order
    assert [row["rank"] for row in table] == ["1", "2", "3", "", ""]
    assert [row["reason"] for row in table] == ["", "", "", "x", ""]


def test_a_job_that_ends_anew_takes_its_own_place(tmp_path, words):
    board = Leaderboard(tmp_path, words, "val/score", True)
    board.add(entry(0, status="failed", reason="x"), entry(1, 0.3))
    with pytest.raises(JobFailedError, match=r"^1 of 2 jobs failed.*, try$"):
        board.raise_for_failed(", try")
    board.add(entry(0, 0.7))
    assert [(row["job"], row["status"]) for row in read(tmp_path / "leaderboard.csv")] == [("0", "done"), ("1", "done")]
    board.raise_for_failed()


def test_the_command_is_what_was_typed_without_the_sweep(tmp_path, words, monkeypatch):
    board = Leaderboard(tmp_path, words, "val/score", True)
    monkeypatch.setattr("sys.argv", ["/else where/train.py", "-m"])
    command = board.command(entry(2, 0.5))
    expected = ["python", "/else where/train.py", "name='it\\'s'", "optimizer.lr=1e-05", "seed=2"]
    assert shlex.split(command) == expected
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert board.command(entry(2, 0.5, threads="2")) == command
    assert board.command(entry(2, 0.5, threads="1")) == f"OMP_NUM_THREADS=1 {command}"


def test_an_entry_holds_what_its_run_found(tmp_path):
    run = Run.create(tmp_path, "runs", "0", tmp_path / "sweep")
    run.write_metrics({"objective": 0.5, "val/score": 0.5, "val/loss": 1.0, "epochs": 3, "seconds": 7.0})
    run.write_provenance({})
    ended_before = Outcome(Job(0, ["seed=1"], run), Status.DONE, 0.5, "", 0.0)
    found = Entry.of(ended_before, {"seed": "1"})
    assert (found.seconds, found.metrics, found.threads) == (7.0, {"val/score": 0.5, "val/loss": 1.0}, "1")
    failed = Entry.of(Outcome(Job(0, [], run), Status.FAILED, None, "broke", 3.0, 1), {})
    assert (failed.objective, failed.reason, failed.metrics, failed.seconds) == (None, "broke", {}, 3.0)


def test_a_score_that_is_no_number_is_a_failure(tmp_path):
    run = Run.create(tmp_path, "runs", "0", tmp_path / "sweep")
    run.write_metrics({"objective": float("nan")})
    found = Entry.of(Outcome(Job(0, [], run), Status.DONE, float("nan"), "", 3.0), {})
    assert (found.status, found.objective, found.reason) == ("failed", None, "its objective is not a finite number")


def test_more_scores_are_columns_and_a_picture_lies_beside_them(tmp_path, words):
    board = Leaderboard(tmp_path, words, "val/score", True)
    board.add(entry(0, 0.5, metrics={"val/score": 0.5, "val/recall_root": 0.4}), entry(1, status="failed"))
    first, second = read(tmp_path / "leaderboard.csv")
    assert (first["val/recall_root"], second["val/recall_root"]) == ("0.4", "")
    with Image.open(tmp_path / "leaderboard.png") as picture:
        assert picture.size[0] == 1440


def test_the_printed_table_shows_what_was_varied(tmp_path, words):
    console = Console(width=100, record=True, file=(tmp_path / "out").open("w", encoding="utf-8"))
    console.print(
        result_table([entry(2, 0.98765, seconds=61), entry(1, status="pruned")], ["optimizer.lr", "seed"], "val/score")
    )
    console.file.close()
    header, best, other = console.export_text().splitlines()
    assert header.split() == ["job", "val/score", "lr", "seed", "time"]
    assert best.split() == ["1", "2", "0.9877", "1e-05", "2", "61", "s"]
    assert other.split() == ["1", "1e-05", "1", "0", "s", "pruned"]


def test_options_that_end_alike_keep_their_names():
    table = result_table([], ["optimizer.weight_decay", "head.weight_decay", "+x.y"], "val/score")
    assert [column.header for column in table.columns[3:6]] == ["optimizer.weight_decay", "head.weight_decay", "y"]
