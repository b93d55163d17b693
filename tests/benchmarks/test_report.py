import io
import json
from datetime import datetime

from rich.console import Console

from okkhor.benchmarks.report import as_json, load, machine, table
from okkhor.benchmarks.rounds import Figure, Goal, Side

FIGURES = [
    Figure("pipeline", "fast", Side("ours", "items/s", [30e3, 31e3]), Side("w", "items/s", [1e3, 1e3]), Goal(25, True)),
    Figure("startup", "slow", Side("ours", "s", [2.0, 2.0]), Side("torch", "s", [1.0, 4.0]), Goal(1.5, of="ours")),
    Figure("pipeline", "explains", Side("ours", "s", [2.0]), Side("other", "s", [1.0])),
]


def test_the_table_shows_medians_range_goal_and_verdict():
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(table(FIGURES))
    fast, slow, explains = console.export_text().splitlines()[1:4]
    assert " ".join(fast.split()) == "fast items/s 30,500 1,000 30.5 30.0 - 31.0 ≥ 25 met"
    assert " ".join(slow.split()) == "slow s 2.000 2.500 1.250 0.500 - 2.000 ≤ 1.5 s missed"
    assert "met" not in explains


def test_json_says_what_was_measured_where_and_when(setting):
    found = json.loads(json.dumps(as_json(FIGURES, setting, load()), allow_nan=False))
    assert datetime.fromisoformat(found["date"]).tzinfo is not None
    assert [figure["met"] for figure in found["figures"]] == [True, False, None]
    assert found["settings"] == {"rows": 64, "rounds": 1, "seconds": 0.01, "steps": 2}


def test_the_machine_is_described():
    found = machine()
    assert found["processor"]
    assert 1 <= found["usable_cores"] <= found["cores"]
    assert found["memory_gb"] > 0.1
    assert found["packages"]["torch"]
