"""Pages are counted once however many processes map them, and other files' pages not at all."""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from okkhor.benchmarks.memory import CASES, measure, own, pss
from okkhor.benchmarks.rounds import Figure

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps").is_file(), reason="needs Linux's /proc/<pid>/smaps")
MB = 2**20
READER = """
import sys, numpy as np
images = np.load(sys.argv[1], mmap_mode="r")
print(int(images.sum()), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def mapped(tmp_path):
    """A file of 8 MB and one of 4 MB beside it, whose name begins alike."""
    path = tmp_path / "images.npy"
    np.save(path, np.ones(8 * MB, np.uint8))
    np.save(tmp_path / "images.npy.other.npy", np.ones(4 * MB, np.uint8))
    return path


@pytest.mark.parametrize("readers", [1, 2, 3])
def test_a_mapped_file_counts_once_however_many_read_it(mapped, readers):
    with ExitStack() as stack:
        pids = []
        for _ in range(readers):
            process = subprocess.Popen(
                [sys.executable, "-c", READER, str(mapped)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            stack.callback(process.communicate)  # closes its input: it ends
            assert process.stdout.readline() == f"{8 * MB}\n"
            pids.append(process.pid)
        shares = [pss(pid, str(mapped)) for pid in pids]
        assert sum(shares) == pytest.approx(8 * MB, rel=0.02)
        assert max(shares) == pytest.approx(8 * MB / readers, rel=0.02)


def test_a_copy_counts_for_its_process_a_mapping_does_not(mapped):
    before = own(os.getpid())
    view = np.load(mapped, mmap_mode="r")
    assert int(view.sum()) == 8 * MB
    assert own(os.getpid()) - before < 4 * MB
    copies = np.tile(view, 8)  # too large for memory that was freed before
    assert own(os.getpid()) - before > 60 * MB
    assert len(copies) == 64 * MB


def test_ranks_and_loaders_share_one_copy_of_the_store(setting, monkeypatch):
    monkeypatch.setattr("okkhor.benchmarks.memory.CASES", CASES[:2])  # each process takes seconds to start
    setting.render()
    (two, program), ticks = _measured(setting)
    assert (two.ours.label, two.other.label) == ("2 ranks", "1")
    pixels = setting.rows * 137 * 236 / 1e6
    assert two.other.median >= pixels  # all of the store was read
    assert program.ours.median > 50  # PyTorch alone is more
    assert ticks == ["memory: round 1 of 1"]


def _measured(setting) -> tuple[list[Figure], list[str]]:
    ticks: list[str] = []
    return measure(setting, ticks.append), ticks
