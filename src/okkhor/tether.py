"""A process that dies with the one that started it, even by kill -9: no rank, job or worker is left behind."""

import ctypes
import os
import signal
import sys
import threading
import time

PARENT = "OKKHOR_PARENT"  # in a started process's environment: who started it
PR_SET_PDEATHSIG = 1  # prctl(2)
CHECK_SECONDS = 0.5


def tether(parent: int | None = None) -> None:
    """Have this process killed when its parent ends (prctl(2) on Linux, a thread that looks elsewhere).

    parent: the parent's process id as the parent gave it, where it may have ended already; else the present one.
    """
    expected = os.getppid() if parent is None else parent
    if not sys.platform.startswith("linux"):
        threading.Thread(target=_watch, args=(expected,), daemon=True).start()
    elif ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != expected:  # it ended before the line above
        os.kill(os.getpid(), signal.SIGKILL)


def tether_if_started() -> None:
    """Tether a process that a launcher or torchrun's agent started; one that a person started stays free."""
    if started_by := os.environ.pop(PARENT, None):
        tether(int(started_by))
    elif "TORCHELASTIC_RUN_ID" in os.environ:
        tether()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(CHECK_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
