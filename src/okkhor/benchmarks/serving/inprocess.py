"""The same work without a server: processes that decode, resize and compute one image after the other.

What a server adds, HTTP and JSON, its queue and the way to its workers, is what lies between this and its numbers.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from okkhor.benchmarks.serving.network import BUNDLE, IMAGES, SCRATCH
from okkhor.benchmarks.serving.sample import Sample, memory_of
from okkhor.errors import JobFailedError

READY = "ready"


def measure(folder: Path, format: str, processes: Sequence[int], seconds: float, warm_up: float) -> dict[int, Sample]:
    """What so many processes at once do, for each of the numbers; every process computes with one thread.

    folder: of `okkhor.benchmarks.serving.network`; each process takes its images in turn. Raises JobFailedError when a
    process ends.
    """
    found = {}
    with ExitStack() as stack:
        started: list[subprocess.Popen[str]] = []
        for count in sorted(set(processes)):
            while len(started) < count:  # those of a larger number start when the smaller one has been measured
                started.append(stack.enter_context(_looping(folder, format)))
                _said(started[-1], format)
            for process in started:
                assert process.stdin is not None
                process.stdin.write(f"{seconds} {warm_up}\n")
                process.stdin.flush()
            windows, latencies = zip(*(json.loads(_said(process, format)) for process in started), strict=True)
            memory = memory_of(psutil.Process(process.pid) for process in started)
            found[count] = Sample([one for each in latencies for one in each], max(windows), memory)
    return found


@contextmanager
def _looping(folder: Path, format: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-m", __name__, str(os.getpid()), str(folder), format],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(folder / SCRATCH)},  # AOTInductor unpacks there
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def _said(process: "subprocess.Popen[str]", format: str) -> str:
    """The next line of a process; raises JobFailedError with its last words when it has ended."""
    assert process.stdout is not None
    assert process.stderr is not None
    if line := process.stdout.readline():
        return line
    words = process.stderr.read().strip().splitlines() or ["it said nothing"]
    raise JobFailedError(f"{format}: a process ended: {words[-1]}")


def loop(folder: Path, format: str) -> None:
    """What each process does: load, say so, then for each line `seconds warm-up` work, and say `[seconds, [each…]]`."""
    from okkhor.serving.predictor import Predictor

    predictor = Predictor.load(folder / BUNDLE, format, threads=1, trust=True)  # it was made a moment ago
    bodies = [path.read_bytes() for path in sorted((folder / IMAGES).iterdir())]
    turn = 0
    print(READY, flush=True)
    for line in sys.stdin:
        seconds, warm_up = map(float, line.split())
        latencies = []
        begin = time.perf_counter() + warm_up
        end = begin + seconds
        while (started := time.perf_counter()) < end or not latencies:
            predictor.run(predictor.decode(bodies[turn % len(bodies)])[None, None])
            turn += 1
            done = time.perf_counter()
            if done >= begin and (done <= end or not latencies):  # one at least, however slow
                latencies.append(done - started)
                end = max(end, done)
        print(json.dumps([end - begin, latencies]), flush=True)


if __name__ == "__main__":
    from okkhor.tether import tether

    tether(int(sys.argv[1]))
    loop(Path(sys.argv[2]), sys.argv[3])
