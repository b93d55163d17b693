"""A process that outlives its starter by a moment: it ends what that one left running, and removes its folder.

python -m okkhor.launching.reaper <folder> <starter> <process id to spare> …

Ray ends most of its processes when the one that started it is killed, but some only minutes later, and no folder. Nor
can a process be tethered (`okkhor.tether`) that hangs before its first line.
"""

import contextlib
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterable

import psutil

LOOK_SECONDS = 0.5


class Reaper:
    """Watches over what this process starts from now on, until it ends, however it ends, or `finish` is called."""

    def __init__(self, folder: str) -> None:
        spared = [child.pid for child in psutil.Process().children()]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "okkhor.launching.reaper", folder, str(os.getpid()), *map(str, spared)],
            stdin=subprocess.PIPE,  # closed by the system when this process ends
            start_new_session=True,
        )

    def finish(self) -> None:
        """Have it do its work now."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def reap(folder: str, starter: int, spared: Iterable[int]) -> None:
    """Wait for the end of standard input, then kill what `starter` has started with all descendants, remove the folder.

    spared: ids of processes that it had started before.
    """
    known: set[psutil.Process] = set()
    others = {starter, os.getpid(), *spared}
    with contextlib.suppress(psutil.NoSuchProcess):
        first = psutil.Process(starter)
        ended = False
        while not ended:
            ended = bool(select.select([sys.stdin], [], [], LOOK_SECONDS)[0])
            for process in [first, *known]:  # also after the end: a process may have been started since the last look
                with contextlib.suppress(psutil.NoSuchProcess):
                    known.update(child for child in process.children(recursive=True) if child.pid not in others)
    for process in known:  # each remembers when it was started: a number that was given away again is left alone
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(known, timeout=5)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    reap(sys.argv[1], int(sys.argv[2]), map(int, sys.argv[3:]))
