"""A process that outlives its starter by a moment: it ends what that one left running, and removes its folder.

python -m okkhor.launching.reaper <folder> <process id> …

Ray ends most of its processes when the one that started it is killed, but some only minutes later, and no folder.
"""

import contextlib
import select
import shutil
import subprocess
import sys
from collections.abc import Iterable

import psutil

LOOK_SECONDS = 1


class Reaper:
    """Watches over processes until this one ends, however it ends, or `finish` is called."""

    def __init__(self, folder: str, processes: Iterable[int]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "okkhor.launching.reaper", folder, *map(str, processes)],
            stdin=subprocess.PIPE,  # closed by the system when this process ends
            start_new_session=True,
        )

    def finish(self) -> None:
        """Have it do its work now."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def reap(folder: str, roots: Iterable[int]) -> None:
    """Wait for the end of standard input, then kill the processes with all their descendants; remove the folder."""
    known: set[psutil.Process] = set()
    for root in roots:
        with contextlib.suppress(psutil.NoSuchProcess):
            known.add(psutil.Process(root))
    while True:
        for process in list(known):
            with contextlib.suppress(psutil.NoSuchProcess):
                known.update(process.children(recursive=True))
        if select.select([sys.stdin], [], [], LOOK_SECONDS)[0]:
            break
    for process in known:  # each remembers when it was started: a number that was given away again is left alone
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(known, timeout=5)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    reap(sys.argv[1], map(int, sys.argv[2:]))
