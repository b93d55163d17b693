"""What the data costs in memory when several processes read it: the store is mapped, so all share one copy.

Every rank opens the DataModule and reads its share of an epoch of whole images, through loader processes or without;
then /proc says which pages of the image file are in memory and how many processes they are shared by (PSS: a page's
bytes divided by that number, so that the sum over processes counts every page once).
"""

import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from okkhor.benchmarks.rounds import Figure, Goal, Side, Tick
from okkhor.benchmarks.setting import Setting, extra
from okkhor.errors import InputError, JobFailedError

MOST = 1.1  # times the memory of one process for data
CASES = ((1, 0), (2, 0), (4, 0), (1, 2), (1, 4), (2, 2))  # ranks, loader processes of each
READY = "ready"


@dataclass(frozen=True)
class Use:
    """Memory in MB of all processes together. shared: the image file's pages, each once; grown: what the processes
    have for themselves since they opened the data, batches among it; program: what one had before, on average."""

    shared: float
    grown: float
    program: float

    @property
    def data(self) -> float:
        return self.shared + self.grown


def measure(setting: Setting, tick: Tick) -> list[Figure]:
    """Memory of several ranks and loader processes for the data, each beside that of one process."""
    if not Path("/proc/self/smaps").is_file():
        raise InputError("memory: needs Linux, whose /proc says which pages processes share")
    found: dict[tuple[int, int], list[Use]] = {case: [] for case in CASES}
    for number in range(setting.rounds):
        for case in CASES:
            found[case].append(use(setting, *case))
        tick(f"memory: round {number + 1} of {setting.rounds}")
    figures = []
    for case in CASES[1:]:
        name = f"{case[0]} ranks" if case[0] > 1 else "1 rank"
        if case[1]:
            name += f" × {case[1]} workers"
        sides = [Side(label, "MB", [one.data for one in found[key]]) for label, key in ((name, case), ("1", CASES[0]))]
        figures.append(Figure("memory", f"data of {name} / of 1", *sides, Goal(MOST)))
    alone = found[CASES[0]]
    program = Side("one process without data", "MB", [one.program for one in alone])
    figures.append(Figure("memory", "program / data", program, Side("data", "MB", [one.data for one in alone])))
    return figures


def use(setting: Setting, ranks: int, workers: int) -> Use:
    """Start the ranks, wait until each has read its share, look at their memory and that of their loaders."""
    psutil = extra("psutil")
    with ExitStack() as stack:
        started = []
        for number in range(ranks):
            process = stack.enter_context(subprocess.Popen(
                [sys.executable, "-m", __name__, str(setting.data), str(ranks), str(number), str(workers)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OKKHOR_ROOT": str(setting.root)},
            ))  # fmt: skip
            stack.callback(process.kill)
            started.append(process)
        shared = grown = program = 0
        for process in started:
            assert process.stdout is not None
            word, *numbers = process.stdout.readline().strip().split(" ", 2)
            if word != READY:
                raise JobFailedError("memory: a process that reads the data ended before it had")
            before, path = int(numbers[0]), numbers[1]
            program += before
            grown += own(process.pid) - before
        for process in started:
            family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children())]
            shared += sum(pss(pid, path) for pid in family)
        return Use(shared / 1e6, grown / 1e6, program / ranks / 1e6)


def own(pid: int) -> int:
    """Bytes that a process has for itself: neither files nor pages shared with others."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return 1024 * int(line.split()[1])
    raise InputError(f"/proc/{pid}/status: no RssAnon; expected Linux 4.5 or newer")


def pss(pid: int, path: str) -> int:
    """Bytes of a mapped file that a process has in memory, shared pages divided by the number that share them."""
    total, inside = 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):  # the head of a mapping: addresses, rights, …, path
            inside = line.endswith(path)
        elif inside and name == "Pss:":
            total += 1024 * int(rest.split()[0])
    return total


def rank(folder: str, ranks: int, number: int, workers: int) -> None:
    """What each process does: read its share of one epoch, say so, and stay until it is ended."""
    import warnings

    from okkhor.data.module import ImageData
    from okkhor.data.sampling import EpochBatches

    warnings.filterwarnings("ignore", "This DataLoader will create")  # more loaders than processors: to be measured
    setting = Setting(Path(os.environ["OKKHOR_ROOT"]), Path(folder).parent)
    config: Any = setting.config(["data=bengali", f"data.dir={folder}"]).data
    data = ImageData(
        source="competition", dir=folder, heads=config.heads, raw_size=config.raw_size, size=config.raw_size,
        workers=workers, batch_size=64,
    )  # fmt: skip
    rows = data.rows("all")
    batches = EpochBatches(rows, 64, shuffle=True, seed=0, rank=number, ranks=ranks)
    loader = iter(data._loader(batches, data._in_order()))
    next(loader)  # what the program needs to read anything at all is there
    before = own(os.getpid())
    for _ in loader:
        pass
    print(READY, before, data.store.path / "images.npy", flush=True)
    sys.stdin.read()  # its loaders, which stay for the next epoch, keep their pages as well


if __name__ == "__main__":
    rank(sys.argv[1], *map(int, sys.argv[2:]))
