"""The whole bench of servers: one network exported once, then every subject in turn, several rounds, one at a time."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from okkhor.benchmarks.rounds import alternate
from okkhor.benchmarks.serving import inprocess, network
from okkhor.benchmarks.serving.load import drive
from okkhor.benchmarks.serving.sample import Sample, memory_of
from okkhor.benchmarks.serving.servers import SERVERS, Server
from okkhor.errors import InputError, JobFailedError
from okkhor.serving.bundle import Bundle
from okkhor.serving.torchserve.settings import usable_cores

PARTS = ("floor", *SERVERS, "formats")
FLOOR = "onnx"  # the format that the servers take
FORMATS = ("torchscript", "onnx", "onnx_int8", "aoti")
WARM_UP = 1.0  # seconds at most, before each window
SETTLING = 3.0  # before a server's first: Java compiles what runs often, and MMS says ready before workers have loaded


@dataclass(frozen=True)
class Plan:
    """What is measured.

    parts: of PARTS; clients: numbers of them, each measured for itself; seconds: of each window; overrides: the
    network, as for train.py; processes: numbers of them in process: one, and one a processor.
    """

    parts: Sequence[str] = PARTS
    clients: Sequence[int] = (1, 16)
    rounds: int = 3
    seconds: float = 5.0
    overrides: Sequence[str] = network.DEFAULT
    processes: Sequence[int] = field(default_factory=lambda: sorted({1, usable_cores()}))

    @property
    def warm_up(self) -> float:
        return min(WARM_UP, self.seconds / 2)

    @property
    def settling(self) -> float:
        return min(SETTLING, 5 * self.seconds)


@dataclass
class Found:
    """What was measured.

    samples: of each subject, a format in process or a server, for each number of processes or clients its rounds;
    left_out: why a subject is not among them; failed: those of them that had been started; bundle: what was served.
    """

    samples: dict[str, dict[int, list[Sample]]]
    left_out: dict[str, str]
    failed: list[str]
    bundle: Bundle


def run(root: Path, plan: Plan) -> Found:
    """Measure what the plan says; root: the project's folder.

    A subject that is not installed here, and one that fails, is left out with the reason. The temporary folder and all
    processes are gone in the end, whatever happens. Raises InputError when nothing is left to measure, and
    for a mistake in the overrides, JobFailedError when the export or everything failed.
    """
    formats, servers, left_out = _subjects(plan.parts)
    with tempfile.TemporaryDirectory(prefix="okkhor-bench-") as scratch:
        folder = Path(scratch)
        columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
        console = Console(stderr=True)
        # it draws seldom: the processors are being measured
        options: Any = {"console": console, "transient": True, "disable": not console.is_terminal}
        with Progress(*columns, refresh_per_second=2, **options) as bar:
            task = bar.add_task("exporting", total=1 + plan.rounds * (len(formats) + len(servers)))
            exported = {*formats, *(server.format for server in servers.values())}
            exported |= {"onnx"} if "onnx_int8" in exported else set()
            network.make(
                root, folder, sorted(exported), plan.overrides,
                lambda line: bar.update(task, description=f"exporting {line}"),
            )  # fmt: skip
            bar.advance(task)
            bundle = Bundle.open(folder / network.BUNDLE)
            bodies = [path.read_bytes() for path in sorted((folder / network.IMAGES).iterdir())]
            failed: list[str] = []

            def turn(name: str, measure: Callable[[], dict[int, Sample]]) -> dict[int, Sample] | None:
                if name in left_out:  # it failed in an earlier round
                    return None
                bar.update(task, description=name)
                try:
                    return measure()
                except (InputError, JobFailedError, psutil.Error) as error:
                    left_out[name] = str(error)
                    failed.append(name)
                    return None
                finally:
                    bar.advance(task)

            sides: dict[str, Callable[[], dict[int, Sample]]] = {
                name: lambda name=name: inprocess.measure(folder, name, plan.processes, plan.seconds, plan.warm_up)
                for name in formats
            }
            sides |= {
                name: lambda server=server: _served(server, bundle, folder, bodies, plan)
                for name, server in servers.items()
            }
            turns = {name: lambda name=name: turn(name, sides[name]) for name in sides}
            rounds = alternate(turns, plan.rounds, lambda _: None, "serving")
    samples = {
        name: {count: [one[count] for one in each if one] for count in each[0] or ()}
        for name, each in rounds.items()
        if name not in left_out
    }
    if not samples:
        raise JobFailedError("; ".join(f"{name}: {reason}" for name, reason in left_out.items()))
    return Found(samples, left_out, failed, bundle)


def _subjects(parts: Sequence[str]) -> tuple[list[str], dict[str, Server], dict[str, str]]:
    """Formats in process and servers that can be measured here, and why the others cannot."""
    left_out: dict[str, str] = {}
    wanted = [name for name in FORMATS if "formats" in parts or (name == FLOOR and "floor" in parts)]
    if "aoti" in wanted and not (shutil.which("g++") or shutil.which("clang++")):
        wanted.remove("aoti")
        left_out["aoti"] = "no C++ compiler here; expected g++ or clang++"
    servers = {}
    for name, server in SERVERS.items():
        if name not in parts:
            continue
        try:
            server.required()
            servers[name] = server
        except InputError as error:
            left_out[name] = str(error)
    if not wanted and not servers:
        raise InputError("; ".join(f"{name} cannot be measured: {reason}" for name, reason in left_out.items()))
    return wanted, servers, left_out


def _served(server: Server, bundle: Bundle, folder: Path, bodies: Sequence[bytes], plan: Plan) -> dict[int, Sample]:
    """One turn of a server, from its start to its end."""
    found = {}
    with tempfile.TemporaryDirectory(dir=folder) as place, server.start(bundle, Path(place)) as serving:
        drive(serving.url, bodies, max(plan.clients), plan.settling)
        for clients in plan.clients:
            answers = drive(serving.url, bodies, clients, plan.seconds, warm_up=plan.warm_up)
            memory = memory_of(serving.family())
            found[clients] = Sample(answers.latencies, answers.seconds, memory, answers.share)
    return found
