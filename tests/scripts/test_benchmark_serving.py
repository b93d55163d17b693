"""scripts/benchmark_serving.py as a user types it."""

import json

import pytest


@pytest.fixture
def earlier(tmp_path):
    """What an earlier run wrote, of one server."""
    rounds = [{"p50_ms": 20.0, "p99_ms": 30.0, "per_second": 50.0, "client_share": None}] * 2
    load = {"p50_ms": 20.0, "p99_ms": 30.0, "per_second": 50.0, "memory_mb": 100.0, "rounds": rounds}
    onnx = {"label": "in process, onnx", "format": "onnx", "in_process": True, "loads": {"1": load, "2": load}}
    path = tmp_path / "earlier.json"
    path.write_text(json.dumps({
        "schema": 1, "date": "2026-11-24T20:00:00+00:00",
        "machine": {"processor": "a processor", "usable_cores": 2, "load_before": []},
        "network": {"what": "a network", "size": [137, 236], "bytes": {"onnx": 45_000_000}},
        "settings": {
            "parts": ["floor", "formats"], "rounds": 2, "seconds": 5.0, "clients": [1, 16], "processes": [1, 2],
            "memory": "PSS", "price_per_hour": None,
        },
        "measured": {"onnx": onnx}, "left_out": {"ray": "Ray Serve is not installed"}, "goals": [],
    }))  # fmt: skip
    return path


def test_an_earlier_run_is_shown_in_markdown_with_a_price_and_stays_as_it_was(command, earlier):
    before = earlier.read_text()
    words = ["--from", str(earlier), "--markdown", "--price-per-hour", "0.18"]
    result = command("scripts/benchmark_serving.py", *words)
    assert result.returncode == 0, result.stderr
    assert "| in process, onnx | 1 process | 20.0 | 30.0 | 50.0 | 100 |" in result.stdout
    assert "| onnx | 20.0 | 30.0 | 50.0 | 50.0 | 45.0 | 1.00 |" in result.stdout
    assert "- left out: ray: Ray Serve is not installed" in result.stdout
    assert earlier.read_text() == before


def test_an_earlier_run_is_shown_as_a_table(command, earlier):
    result = command("scripts/benchmark_serving.py", "--from", str(earlier))
    assert result.returncode == 0, result.stderr
    assert "in process, onnx   1 process" in result.stdout
    assert "--price-per-hour" in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "floor,torchserv"], "expected some of floor,torchserve-stock,torchserve,mms,ray,formats"),
        (["--rounds", "0"], "expected a whole number of at least 1, got '0'"),
        (["--clients", "1,x"], "expected a whole number of at least 1, got 'x'"),
        (["--seconds", "-1"], "expected a number above 0, got '-1'"),
        (["--seconds", "nan"], "expected a number above 0, got 'nan'"),
        (["--price-per-hour", "free"], "expected a number above 0, got 'free'"),
        (["--out", "."], "--out .: is a folder"),
        (["--from", "nowhere.json"], "--from nowhere.json: cannot be read"),
        (["--fast"], "--fast"),
        (["--only", "floor", "model=nosuchmodel"], "nosuchmodel"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(command, words, said):
    result = command("scripts/benchmark_serving.py", *words)
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert said in result.stderr


def test_help_names_the_options(command):
    result = command("scripts/benchmark_serving.py", "--help")
    assert result.returncode == 0
    options = ("--out", "--only", "--clients", "--rounds", "--seconds", "--price-per-hour", "--from", "--markdown")
    assert all(option in result.stdout for option in options)
