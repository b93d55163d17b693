"""Percentiles, rates and memory, each beside another way to get them."""

import json
import os
import statistics
import subprocess
import sys

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from okkhor.benchmarks.serving.sample import Sample, counts_shared_once, memory_of, together

MB = 2**20
latencies = st.lists(st.floats(1e-4, 10), min_size=2, max_size=300)
HOLDER = """
import sys
held = bytearray(64 << 20)
held[::4096] = b"x" * len(held[::4096])
print("ready", flush=True)
sys.stdin.read()
"""
MAPPER = """
import mmap, sys
file = open(sys.argv[1], "rb")
mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
print(sum(mapped[::4096]), flush=True)
sys.stdin.read()
"""


@given(latencies)
def test_percentiles_are_those_of_the_standard_library(values):
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    sample = Sample(values, 1.0, 0.0)
    assert sample.milliseconds(50) == pytest.approx(1000 * statistics.median(values))
    assert sample.milliseconds(99) == pytest.approx(1000 * cuts[98])


@given(latencies, latencies)
def test_rounds_together_are_one_large_sample_but_for_the_rate(first, second):
    rounds = [Sample(first, 2.0, 100.0, 0.1), Sample(second, 4.0, 300.0, 0.2)]
    found = json.loads(json.dumps(together(rounds), allow_nan=False))
    assert found["p50_ms"] == pytest.approx(1000 * statistics.median(first + second))
    assert found["p99_ms"] == pytest.approx(1000 * statistics.quantiles(first + second, n=100, method="inclusive")[98])
    assert found["per_second"] == pytest.approx((len(first) / 2 + len(second) / 4) / 2)
    assert (found["answers"], found["memory_mb"]) == (len(first) + len(second), 200.0)
    assert [one["per_second"] for one in found["rounds"]] == pytest.approx([len(first) / 2, len(second) / 4])
    assert [one["client_share"] for one in found["rounds"]] == [0.1, 0.2]


@pytest.fixture
def started():
    processes = []

    def start(program, *words) -> psutil.Process:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout.readline().strip()
        return psutil.Process(process.pid)

    yield start
    for process in processes:
        process.communicate()  # closes its input: it ends


def test_memory_of_several_processes_is_added_up(started):
    one, two = (memory_of([started(HOLDER)]) for _ in range(2))
    assert one == pytest.approx(64 * MB / 1e6, abs=30)
    assert memory_of([]) == 0
    both = [started(HOLDER), started(HOLDER)]
    assert memory_of(both) == pytest.approx(one + two, rel=0.2)


@pytest.mark.skipif(not counts_shared_once(), reason="needs Linux's PSS")
def test_pages_that_processes_share_count_once(tmp_path, started):
    file = tmp_path / "shared"
    file.write_bytes(b"\1" * 64 * MB)
    readers = [started(MAPPER, str(file)) for _ in range(3)]
    assert memory_of(readers) < 1.5 * 64 * MB / 1e6
    assert sum(process.memory_info().rss for process in readers) > 3 * 64 * MB


def test_a_process_that_has_ended_takes_no_memory():
    process = subprocess.Popen([sys.executable, "-c", ""])
    ended = psutil.Process(process.pid)
    process.wait()
    assert memory_of([ended]) == 0
    assert memory_of([ended, psutil.Process(os.getpid())]) > 10
