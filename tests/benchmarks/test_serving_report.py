"""What is said of the servers: verdicts, costs, what was left out; in a terminal and in Markdown alike."""

import copy
import io
import json
from datetime import datetime
from types import SimpleNamespace

import pytest
from rich.console import Console

from okkhor.benchmarks.serving import report
from okkhor.benchmarks.serving.goals import goals
from okkhor.benchmarks.serving.sample import Sample
from okkhor.benchmarks.serving.suite import Found, Plan
from okkhor.errors import InputError

PLAN = Plan(clients=(1, 16), rounds=2, seconds=2.0, processes=(1, 2))


def rounds(*milliseconds_and_rates, memory=100.0, share=None):
    return [Sample([ms / 1000] * round(2 * rate), 2.0, memory, share) for ms, rate in milliseconds_and_rates]


@pytest.fixture
def found():
    """Two rounds of the floor, another format and two servers, as a file holds them; the goals are met."""
    samples = {
        "onnx": {1: rounds((20, 50), (30, 40)), 2: rounds((40, 100), (60, 80), memory=190)},
        "onnx_int8": {1: rounds((10, 100), (10, 100)), 2: rounds((12, 160), (12, 160))},
        "torchserve": {
            1: rounds((24, 40), (36, 30), share=0.01),
            16: rounds((160, 92), (200, 80), memory=1300, share=0.034),
        },
        "torchserve-stock": {1: rounds((90, 10), (90, 10)), 16: rounds((900, 20), (900, 20))},
    }
    formats = {"onnx": SimpleNamespace(bytes=45_206_233), "onnx_int8": SimpleNamespace(bytes=11_812_138)}
    bundle = SimpleNamespace(run="a network", input={"height": 137, "width": 236}, formats=formats)
    left_out = {"mms": "mms: not installed; make setup-servers"}
    made = report.as_json(Found(samples, left_out, [], bundle), PLAN, (0.1, 0.2, 0.3), None)
    return json.loads(json.dumps(made, allow_nan=False))


def test_the_file_says_what_was_measured_where_when_and_with_which_versions(found):
    assert datetime.fromisoformat(found["date"]).tzinfo is not None
    assert found["machine"]["packages"]["torchserve"]
    assert found["machine"]["load_before"] == [0.1, 0.2, 0.3]
    assert found["settings"]["clients"] == [1, 16]
    assert found["network"]["size"] == [137, 236]
    assert [one["met"] for one in found["goals"]] == [True, True, True]
    stock = found["measured"]["torchserve-stock"]["loads"]["16"]
    assert (stock["p50_ms"], stock["per_second"], len(stock["rounds"])) == (pytest.approx(900), 20.0, 2)


def test_goals_are_ratios_of_the_same_round_and_of_the_same_load(found):
    figures, lacking = goals(found)
    assert lacking == []
    alone, floor, stock = figures
    assert alone.ratio.rounds == pytest.approx([24 / 20, 36 / 30])
    assert floor.ratio.rounds == pytest.approx([92 / 100, 80 / 80])  # not those of one process
    assert stock.ratio.rounds == pytest.approx([92 / 20, 80 / 20])


@pytest.mark.parametrize(
    ("place", "key", "value", "met"),
    [
        (("torchserve", "1"), "p50_ms", 100.0, [False, True, True]),
        (("torchserve", "16"), "per_second", 59.0, [True, False, False]),
        (("torchserve", "16"), "per_second", 79.0, [True, False, True]),
        (("torchserve-stock", "16"), "per_second", 40.0, [True, True, False]),
    ],
)
def test_a_goal_that_is_missed_is_said_to_be_not_met(found, place, key, value, met):
    for one in found["measured"][place[0]]["loads"][place[1]]["rounds"]:
        one[key] = value
    assert [row[-1] for row in report.targets(found).rows] == ["met" if one else "not met" for one in met]


def test_a_goal_that_was_not_measured_gets_no_verdict(found):
    del found["measured"]["torchserve-stock"]["loads"]["16"]
    assert len(report.targets(found).rows) == 2
    (line,) = [line for line in report.notes(found) if line.startswith("no verdict")]
    assert line.endswith("torchserve-stock was not measured with 16")
    found["measured"] = {"onnx": found["measured"]["onnx"]}
    assert report.targets(found) is None


def test_the_table_has_a_row_for_each_server_and_load(found):
    grid = report.servers(found)
    assert [(row[0], row[1]) for row in grid.rows] == [
        ("in process, onnx", "1 process"),
        ("in process, onnx", "2 processes"),
        ("TorchServe stock, eager", "1 client"),
        ("TorchServe stock, eager", "16 clients"),
        ("TorchServe ours, onnx", "1 client"),
        ("TorchServe ours, onnx", "16 clients"),
    ]
    assert grid.rows[3][2:] == ["900.0", "900.0", "20.0", "100"]
    assert grid.rows[5][5] == "1,300"


def test_cost_needs_a_price_and_is_of_all_cores(found):
    assert report.cost(0.36, 100) == pytest.approx(1.0)  # 10,000 seconds of an hour's 3,600
    without = report.formats(found)
    assert "a million" not in without.titles
    assert [row[0] for row in without.rows] == ["onnx", "onnx_int8"]
    assert "--price-per-hour" in " ".join(report.notes(found))
    found["settings"]["price_per_hour"] = 1.44
    with_price = report.formats(found)
    onnx, int8 = (dict(zip(with_price.titles, row, strict=True)) for row in with_price.rows)
    assert onnx["a million"] == "4.44"  # at the median of 100 and 80 images a second
    assert int8["a million"] == "2.50"
    assert (onnx["file MB"], onnx["images/s, 2"]) == ("45.2", "90.0")
    assert "1.44" in " ".join(report.notes(found))


def test_formats_are_shown_where_they_were_asked_for(found):
    found["settings"]["parts"] = ["floor", "torchserve"]
    assert report.formats(found) is None
    assert "--price-per-hour" not in " ".join(report.notes(found))


def test_what_is_left_out_is_said_and_what_the_load_generator_took(found):
    lines = list(report.notes(found))
    assert "left out: mms: not installed; make setup-servers" in lines
    assert any("at most 3.4 % of one" in line for line in lines)


def test_markdown_and_terminal_hold_the_same_cells(found):
    grid = report.servers(found)
    lines = grid.markdown().splitlines()
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]] == grid.rows
    assert set(lines[1]) == set("|-: ")
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(grid.for_terminal())
    shown = console.export_text().splitlines()[1:]
    assert [" ".join(line.split()) for line in shown] == [" ".join(row) for row in grid.rows]


def test_a_file_is_read_again_and_no_other(found, tmp_path):
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(found))
    assert report.read(path) == found
    older = copy.deepcopy(found) | {"schema": 0}
    for text in ("{", "[]", json.dumps(older), '{"figures": []}'):
        path.write_text(text)
        with pytest.raises(InputError, match=r"--from .*bench.json: .*make bench-serve"):
            report.read(path)
    with pytest.raises(InputError, match="nowhere"):
        report.read(tmp_path / "nowhere")


def test_versions_of_a_server_that_is_absent_are_not_made_up(monkeypatch):
    def absent(name):
        raise InputError("not installed")

    monkeypatch.setattr(report, "python_of", absent)
    assert not any(name.startswith("mms") for name in report.versions())
    monkeypatch.setattr(report, "find_java", lambda: absent("java"))
    assert report.versions() == {"java": None}
