"""How a training on the CPU keeps the memory that it uses anew in every step."""

import ctypes
import sys

# of glibc's mallopt(3); 32 MiB is the most that it takes for the second
TRIM_THRESHOLD, TRIM = -1, 2**31 - 1
MMAP_THRESHOLD, MMAP = -3, 32 << 20
TOP_PAD, PAD = -2, 64 << 20


def keep_freed_memory() -> bool:
    """Have malloc keep what is freed, in place of giving it back and asking for it again in every step.

    A network's activations are allocated and freed in each step; by default glibc returns such large blocks to the
    kernel, which clears every page of the next one: a fifth of a step's time with a small network. What the process
    holds at its peak stays the same. Returns False, and changes nothing, where the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # musl has none
        return False
    return all(mallopt(*pair) for pair in ((MMAP_THRESHOLD, MMAP), (TRIM_THRESHOLD, TRIM), (TOP_PAD, PAD)))
