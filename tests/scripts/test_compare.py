"""`scripts/compare.py` as a user types it; what it computes is tested in tests/reports/comparison."""

import json

import numpy as np
import pytest

from okkhor.heads import Head, Heads
from okkhor.reports.predictions import Predictions
from okkhor.reports.recall import HeadResult


@pytest.fixture
def run_of(tmp_path):
    def make(name, right, kept=True):
        path = tmp_path / "runs" / name / "2026-11-28_10-00-00"
        (path / "report").mkdir(parents=True)
        (path / "config.yaml").write_text("data: {batch_size: 8}\n")
        (path / "metrics.json").write_text(json.dumps({"seconds": 61.0}))
        heads = Heads([Head("vowel", "vowel_diacritic", 11)])
        labels = np.arange(220) % 11
        predicted = np.where(np.arange(220) < right, labels, (labels + 1) % 11)
        p = np.full((220, 11), 0.05, np.float32)
        p[np.arange(220), predicted] = 0.5
        if kept:
            result = HeadResult.of(heads[0], labels, predicted)
            ids = [str(k) for k in range(220)]
            Predictions.of(ids, [result], [p], {}).write(path / "report" / "predictions.parquet")
        return path

    return make


def test_two_runs_are_compared_in_the_terminal_and_on_a_page(command, run_of, tmp_path):
    runs = [str(run_of(name, right)) for name, right in (("light", 110), ("cutmix", 198))]
    done = command(
        "scripts/compare.py", *runs, "--out", "page", "--reference", runs[1], "--rounds", "200", COLUMNS="160"
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[:2] for row in rows if row[:1] in (["light"], ["cutmix"])] == [
        ["cutmix", "0.9000"],
        ["light", "0.5000"],
    ]
    assert any(row[:1] == ["light"] and "-0.4000" in row for row in rows)
    assert "is 0.4000 below cutmix" in (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert (tmp_path / "page" / "classes.csv").is_file()


def test_a_run_without_predictions_is_refused_in_one_line_that_says_what_to_do(command, run_of, tmp_path):
    old = run_of("old", 5, kept=False)
    done = command("scripts/compare.py", str(run_of("new", 110)), str(old))
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert f"`python scripts/evaluate.py {old} --report` writes it" in done.stderr
    assert not (tmp_path / "reports").exists()


def test_a_reference_that_has_not_finished_is_refused_in_one_line(command, run_of):
    runs = [run_of(name, 110) for name in ("light", "cutmix", "begun")]
    (runs[2] / "metrics.json").unlink()
    done = command("scripts/compare.py", *map(str, runs), "--reference", str(runs[2]))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("has not finished; expected a run that has, or no --reference")
    assert "Traceback" not in done.stderr
