"""scripts/benchmark.py as a user types it."""

import json
import math

import pytest


def test_start_up_is_measured_shown_and_written(command, tmp_path):
    out = tmp_path / "new folder" / "bench.json"
    result = command("scripts/benchmark.py", "--only", "startup", "--rounds", "1", "--out", str(out))
    assert result.returncode == 0, result.stderr
    assert "--help / import torch" in result.stdout
    assert str(out) in result.stdout
    found = json.loads(out.read_text())
    (figure,) = found["figures"]
    assert figure["goal"] == {"of": "ours", "at_most": 1.5}
    assert math.isfinite(figure["ratio"]["median"])
    assert len(figure["ours"]["rounds"]) == len(figure["other"]["rounds"]) == 1
    assert "benchmark.py --only startup" in found["command"]
    assert [path.name for path in out.parent.iterdir()] == ["bench.json"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "pipelines"], "expected some of pipeline,step,ingest,startup,scaling,memory, got 'pipelines'"),
        (["--rows", "63"], "expected a whole number of at least 64, got '63'"),
        (["--rounds", "0"], "expected a whole number of at least 1, got '0'"),
        (["--rounds", "two"], "expected a whole number of at least 1, got 'two'"),
        (["--fast"], "--fast"),
        (["--out", "."], "--out .: is a folder"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(command, words, said):
    result = command("scripts/benchmark.py", *words)
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert said in result.stderr


def test_help_names_the_options(command):
    result = command("scripts/benchmark.py", "--help")
    assert result.returncode == 0
    assert all(option in result.stdout for option in ("--out", "--only", "--rows", "--rounds"))
