"""Everything for real, with a tiny network and fractions of a second: formats, servers, and stops in the middle."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from okkhor.benchmarks.serving.suite import FORMATS
from okkhor.errors import InputError
from okkhor.serving.neighbors import python_of

pytestmark = [
    pytest.mark.serial,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("java") is None, reason="needs Java: make setup-system"),
]
TINY = ["data=bengali", "model.options.widths=[4,8,8,8]", "data.size=[24,40]"]
PATIENCE = 300  # seconds


@pytest.fixture
def place():
    """A temporary folder for everything the bench writes, with a short name: sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="b-", dir="/tmp"))
    yield folder
    assert list(folder.iterdir()) == []
    assert started_in(folder) == []
    folder.rmdir()


def started_in(folder):
    """Processes whose temporary files lie in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR", "").startswith(str(folder)):
                found.append(process)
        except psutil.Error:
            continue
    return found


def bench(place, root, out, *words):
    return subprocess.Popen(
        [sys.executable, str(root / "scripts" / "benchmark_serving.py"), "--out", str(out), *words, *TINY],
        env={**os.environ, "TMPDIR": str(place), "COLUMNS": "120"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_every_part_runs(place, train_py, tmp_path):
    out = tmp_path / "new" / "bench-serve.json"
    words = ["--seconds", "0.2", "--rounds", "1", "--clients", "1,16", "--price-per-hour", "0.1"]
    process = bench(place, train_py.parent, out, *words)
    shown, errors = process.communicate(timeout=900)
    assert process.returncode == 0, shown + errors
    found = json.loads(out.read_text())
    assert [path.name for path in out.parent.iterdir()] == ["bench-serve.json"]
    expected = {*FORMATS, "torchserve-stock", "torchserve", "mms", "ray"} - set(found["left_out"])
    assert set(found["measured"]) == expected
    assert set(found["left_out"]) <= ({"mms"} if absent("mms") else set())
    for one in found["measured"].values():
        counts = found["settings"]["processes"] if one["in_process"] else [1, 16]
        assert list(one["loads"]) == [str(count) for count in counts]
        for load in one["loads"].values():
            assert 0 < load["p50_ms"] <= load["p99_ms"]
            assert load["per_second"] > 0
            assert load["memory_mb"] > 20
    assert [goal["met"] in (True, False) for goal in found["goals"]] == [True, True, True]
    assert "a million: its cost" in shown
    assert "TorchServe stock, eager" in shown


def absent(server):
    try:
        python_of(server)
    except InputError:
        return True
    return False


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_in_the_middle_leaves_no_process_and_no_file(place, train_py, tmp_path, how):
    out = tmp_path / "bench-serve.json"
    process = bench(place, train_py.parent, out, "--only", "torchserve-stock,ray", "--seconds", "60")
    try:
        give_up = time.monotonic() + PATIENCE
        while not any("model_service_worker" in " ".join(cmdline(one)) for one in started_in(place)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < give_up
            time.sleep(0.2)
        time.sleep(1.0)
        process.send_signal(how)
        shown, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "stopped; nothing was written" in errors
    assert (shown, out.exists()) == ("", False)


def cmdline(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []
