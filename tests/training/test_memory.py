"""What malloc gives back to the kernel, and what it keeps, told by the pages that a process asks for again."""

import subprocess
import sys

import pytest

STEPS = """
import resource, sys
import numpy as np
from okkhor.training.memory import keep_freed_memory

def steps(count):
    for _ in range(count):
        blocks = [np.ones(8 << 20, np.uint8) for _ in range(8)]
        del blocks

kept = keep_freed_memory() if sys.argv[1] == "keep" else None
steps(2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
steps(10)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how):
    done = subprocess.run([sys.executable, "-c", STEPS, how], capture_output=True, check=True, text=True)
    kept, count = done.stdout.split()
    return kept, int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_steps_ask_for_no_page_again():
    kept, count = faults("keep")
    if kept == "False":
        pytest.skip("another C library than glibc")
    _, before = faults("leave")
    assert count < before / 10, (count, before)
