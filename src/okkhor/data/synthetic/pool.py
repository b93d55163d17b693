"""Rendering over several cores.

Workers are fresh `python -m` processes, not forks or spawns of the caller: they import neither its main module nor
torch, so each stays small, and the caller needs no `if __name__ == "__main__"`. They write images straight into files
that the caller maps, and say on standard output how far they are.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from okkhor.data.synthetic.render import SIZE, Renderer

CHUNK = 512  # images a worker holds before it writes them
REPORT = 32  # images between two reports of progress


@dataclass(frozen=True)
class Part:
    """One file's worth of images: those of `stream` from `first`, `count` of them, in a pixel-major file of bytes."""

    path: str
    stream: int
    first: int
    count: int

    def map(self, mode: str) -> np.memmap:
        """uint8 (pixels, count): a row is one column of the Parquet file."""
        return np.memmap(self.path, np.uint8, mode, shape=(SIZE[0] * SIZE[1], self.count))


@dataclass(frozen=True)
class Job:
    """Images `start` to `stop` of a part."""

    part: Part
    start: int
    stop: int


def usable_cores() -> int:
    """Cores that this process may use, which in a container or under taskset are fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def render_parts(
    parts: list[Part], *, seed: int, fonts: str | None, workers: int, advance: Callable[[int], None]
) -> None:
    """Fill the files of all parts. advance: called with the number of images that were done since the last call.

    Raises RuntimeError with a worker's own words when one dies.
    """
    for part in parts:
        part.map("w+").flush()  # makes the file at its full size
    jobs = [Job(part, a, min(a + CHUNK, part.count)) for part in parts for a in range(0, part.count, CHUNK)]
    if workers <= 1:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)  # such small images gain nothing from threads
        try:
            for done in _render(jobs, seed, fonts):
                advance(done)
        finally:
            cv2.setNumThreads(threads)
        return
    _spread([jobs[k::workers] for k in range(min(workers, len(jobs)))], seed, fonts, advance)


def _spread(shares: list[list[Job]], seed: int, fonts: str | None, advance: Callable[[int], None]) -> None:
    source = str(Path(__file__).resolve().parents[3])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    environment["PYTHONPATH"] = os.pathsep.join([source, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "okkhor.data.synthetic.pool"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, env=environment, text=True, encoding="utf-8", **pipes) for _ in shares]
    lock = threading.Lock()
    words: list[str] = [""] * len(processes)

    def follow(k: int) -> None:
        for line in processes[k].stdout:
            with lock:
                advance(int(line))

    def overhear(k: int) -> None:
        words[k] = processes[k].stderr.read()

    threads = [
        threading.Thread(target=t, args=(k,), daemon=True) for k in range(len(shares)) for t in (follow, overhear)
    ]
    try:
        for process, share in zip(processes, shares, strict=True):
            task = json.dumps({"seed": seed, "fonts": fonts, "jobs": [asdict(job) for job in share]})
            with contextlib.suppress(BrokenPipeError), process.stdin:  # a dead one is reported below, in its own words
                process.stdin.write(task)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for process, said in zip(processes, words, strict=True):
            if process.wait():
                raise RuntimeError(f"a rendering process ended with status {process.returncode}:\n{said.strip()}")
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()


def _render(jobs: list[Job], seed: int, fonts: str | None) -> Iterator[int]:
    renderer = Renderer(seed, fonts)
    for job in jobs:
        pixels = job.part.map("r+")
        images = np.empty((job.stop - job.start, SIZE[0] * SIZE[1]), np.uint8)
        reported = 0
        for k in range(len(images)):
            images[k] = renderer.image(job.part.first + job.start + k, job.part.stream).reshape(-1)
            if (k + 1) % REPORT == 0:
                yield k + 1 - reported
                reported = k + 1
        pixels[:, job.start : job.stop] = images.T
        yield len(images) - reported


def main() -> None:
    """A worker: its share of the jobs comes as JSON on standard input."""
    cv2.setNumThreads(1)
    task = json.load(sys.stdin)
    jobs = [Job(Part(**job["part"]), job["start"], job["stop"]) for job in task["jobs"]]
    try:
        for done in _render(jobs, task["seed"], task["fonts"]):
            print(done, flush=True)
    except (BrokenPipeError, KeyboardInterrupt):  # the caller is gone, or is stopping and says so itself
        os._exit(1)


if __name__ == "__main__":
    main()
