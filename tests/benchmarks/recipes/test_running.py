"""The bench itself, with rows that take seconds: kept, resumed, evaluated, stopped at a score."""

import json
from pathlib import Path

import pytest

from okkhor.benchmarks.recipes.plan import Plan, Row
from okkhor.benchmarks.recipes.running import RESULTS, Bench
from okkhor.errors import InputError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setenv("OKKHOR_ROOT", str(ROOT))
    return Bench(ROOT, tmp_path / "bench")


@pytest.fixture
def plan(tiny, synthetic_dir):
    words = tuple(word for word in tiny if not word.startswith("paths.runs="))
    rows = (
        Row("plain", "one", words, ""),
        Row("wrong", "one", (*words, "data.dir=/nowhere"), ""),
        Row("again", "two", (), "", ("data.split=val",), against="plain"),
        Row("race", "three", (*words, "trainer.max_epochs=40"), "", until=0.001),
    )
    return Plan(rows, {"one": {"heading": "1", "at_once": 2}, "two": {"heading": "2"}, "three": {"heading": "3"}})


@pytest.mark.slow
@pytest.mark.serial
def test_rows_are_trained_once_evaluated_and_stopped_at_a_score(bench, plan):
    bench.folder.mkdir()
    failed = bench.run(plan, plan.rows)
    assert list(failed) == ["wrong"]
    assert "/nowhere" in failed["wrong"]
    found = bench.results()
    assert set(found) == {"plain", "again", "race"}
    assert found["plain"]["metrics"]["epochs"] == 2
    assert found["again"]["metrics"]["val/score"] >= 0
    assert found["race"]["metrics"]["val/score"] >= 0.001
    assert found["race"]["metrics"]["epochs"] < 40

    # what has a result is not run again, not even when its run is gone
    before = (bench.folder / RESULTS).read_bytes()
    assert bench.run(plan, [plan.row("plain"), plan.row("race")]) == {}
    assert (bench.folder / RESULTS).read_bytes() == before


def test_a_folder_with_a_run_of_other_words_is_refused(bench, plan):
    bench.folder.mkdir()
    bench._opened(plan.row("plain"))
    bench._opened(plan.row("plain"))
    other = Row("plain", "one", (*plan.row("plain").words, "seed=3"), "")
    with pytest.raises(InputError, match="holds a run of other words"):
        bench._opened(other)


def test_results_that_are_no_json_are_refused(bench):
    bench.folder.mkdir()
    (bench.folder / RESULTS).write_text("{")
    with pytest.raises(InputError, match=RESULTS):
        bench.results()
    (bench.folder / RESULTS).write_text(json.dumps({}))
    assert bench.results() == {}
