"""What was found about servers: JSON for later, and from that the tables, for a terminal or in Markdown."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from okkhor.benchmarks.report import limit, load, machine, number
from okkhor.benchmarks.serving.goals import goals
from okkhor.benchmarks.serving.sample import counts_shared_once, together
from okkhor.benchmarks.serving.servers import SERVERS
from okkhor.benchmarks.serving.suite import FLOOR, FORMATS, Found, Plan
from okkhor.errors import InputError
from okkhor.serving.neighbors import python_of
from okkhor.serving.torchserve.java import find_java

SCHEMA = 1
PACKAGES = (
    "torch", "onnxruntime", "torchserve", "ray", "starlette", "uvicorn", "numpy", "opencv-python-headless", "pillow",
)  # fmt: skip
OF_MMS = ("multi-model-server", "onnxruntime", "numpy", "opencv-python-headless", "pillow")
MILLION = 1_000_000
HOUR = 3600


@dataclass(frozen=True)
class Grid:
    """A table: `titles` of its columns; the first is text, the others are numbers."""

    titles: Sequence[str]
    rows: list[list[str]]

    def for_terminal(self) -> Table:
        made = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
        for place, title in enumerate(self.titles):
            made.add_column(title, justify="right" if place else "left", header_style="dim", no_wrap=True)
        for row in self.rows:
            made.add_row(*row)
        return made

    def markdown(self) -> str:
        rule = ["---", *["---:"] * (len(self.titles) - 1)]
        return "\n".join("| " + " | ".join(row) + " |" for row in [list(self.titles), rule, *self.rows])


def as_json(found: Found, plan: Plan, load_before: tuple[float, ...], price: float | None) -> dict[str, Any]:
    """Everything that was measured, and where. price: of an hour of this machine."""
    bundle = found.bundle
    measured = {}
    for name, loads in found.samples.items():
        server = SERVERS.get(name)
        measured[name] = {
            "label": server.label if server else f"in process, {name}",
            "format": server.format if server else name,
            "in_process": server is None,
            "loads": {str(count): together(samples) for count, samples in loads.items()},
        }
    return {
        "schema": SCHEMA,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": shlex.join([Path(sys.executable).name, *sys.argv]),
        "machine": {**machine(PACKAGES), "servers": versions(), "load_before": load_before, "load_after": load()},
        "network": {
            "what": bundle.run,
            "size": [bundle.input["height"], bundle.input["width"]],
            "bytes": {name: entry.bytes for name, entry in bundle.formats.items()},
        },
        "settings": {
            "parts": list(plan.parts),
            "overrides": list(plan.overrides),
            "rounds": plan.rounds,
            "seconds": plan.seconds,
            "warm_up": plan.warm_up,
            "settling": plan.settling,
            "clients": list(plan.clients),
            "processes": list(plan.processes),
            "memory": "PSS" if counts_shared_once() else "RSS",
            "price_per_hour": price,
        },
        "measured": measured,
        "left_out": found.left_out,
        "goals": [figure.to_json() for figure in goals({"measured": measured, "settings": vars(plan)})[0]],
    }


def read(path: Path) -> dict[str, Any]:
    """What `as_json` gave, from a file; raises InputError for any other."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"--from {path}: cannot be read ({error}); expected what make bench-serve wrote") from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA or "measured" not in found:
        raise InputError(f"--from {path}: expected what make bench-serve wrote, schema {SCHEMA}")
    return found


def servers(found: Mapping[str, Any]) -> Grid | None:
    """A row for each server and number of clients, above them what the same network does in process."""
    titles = ["", "asked by", "p50 ms", "p99 ms", "requests/s", f"{found['settings']['memory']} MB"]
    shown = [name for name in (FLOOR, *SERVERS) if name in found["measured"]]
    rows = []
    for name in shown:
        one = found["measured"][name]
        for count, load_ in one["loads"].items():
            word = "process" if one["in_process"] else "client"
            asked = f"{count} {word}{'' if count == '1' else 'es' if one['in_process'] else 's'}"
            numbers = [number(load_[key]) for key in ("p50_ms", "p99_ms", "per_second")]
            rows.append([one["label"], asked, *numbers, f"{load_['memory_mb']:,.0f}"])
    return Grid(titles, rows) if rows else None


def formats(found: Mapping[str, Any]) -> Grid | None:
    """A row for each format in process: latency alone, images a second of all processors, size, cost at a price."""
    settings = found["settings"]
    shown = [name for name in FORMATS if name in found["measured"] and "formats" in settings["parts"]]
    cores, price = str(max(settings["processes"])), settings["price_per_hour"]
    titles = ["format, processes", "p50 ms, 1", "p99 ms, 1", "images/s, 1", f"images/s, {cores}", "file MB"]
    titles += ["a million"] if price else []
    rows = []
    for name in shown:
        loads = found["measured"][name]["loads"]
        alone, all_of_them = loads["1"], loads[cores]
        row = [name, *(number(alone[key]) for key in ("p50_ms", "p99_ms", "per_second"))]
        row += [number(all_of_them["per_second"]), f"{found['network']['bytes'][name] / 1e6:.1f}"]
        row += [f"{cost(price, all_of_them['per_second']):.2f}"] if price else []
        rows.append(row)
    return Grid(titles, rows) if rows else None


def cost(price: float, per_second: float) -> float:
    """Of a million images, in the money of `price`, which is for an hour of the machine that does so many."""
    return price * MILLION / (per_second * HOUR)


def targets(found: Mapping[str, Any]) -> Grid | None:
    """A row for each goal: medians of both sides, of their ratio, its range over the rounds, and whether it is met."""
    rows = []
    for figure in goals(found)[0]:
        ratio = figure.ratio
        rows.append([
            figure.name, *(number(side.median) for side in (figure.ours, figure.other, ratio)),
            f"{number(min(ratio.rounds))} - {number(max(ratio.rounds))}", limit(figure.goal, ""),
            "met" if figure.met else "not met",
        ])  # fmt: skip
    return Grid(["ours / other", "ours", "other", "ratio", "rounds", "goal", ""], rows) if rows else None


def notes(found: Mapping[str, Any]) -> Iterator[str]:
    """What a reader of the tables should know, a line each."""
    settings, place, net = found["settings"], found["machine"], found["network"]
    height, width = net["size"]
    yield f"{net['what']}, {height}×{width}, on {place['processor']}, {place['usable_cores']} cores"
    times = "one round" if settings["rounds"] == 1 else f"{settings['rounds']} rounds"
    yield f"{times} of {settings['seconds']:g} s each, in turn, {found['date']}"
    yield f"load average before: {', '.join(map(str, place['load_before'])) or 'unknown'}; more than 0 disturbs"
    shares = [
        each["client_share"]
        for one in found["measured"].values()
        for load_ in one["loads"].values()
        for each in load_["rounds"]
        if each["client_share"] is not None
    ]
    if shares:
        yield f"the load generator shares these cores; it took at most {100 * max(shares):.1f} % of one"
    for name, reason in found["left_out"].items():
        yield f"left out: {name}: {reason.removeprefix(f'{name}: ')}"
    for lacking in goals(found)[1]:
        yield f"no verdict: {lacking}"
    if settings["price_per_hour"]:
        hour = f"{settings['price_per_hour']:g}"
        yield f"a million: its cost with all cores busy, at {hour} for an hour of this machine, in the same money"
    elif formats(found):
        yield "cost of a million images: --price-per-hour takes the price of an hour of this machine"


def versions() -> dict[str, str | None]:
    """Of Java, and of Multi Model Server and what it computes with, which are not of this environment."""
    found: dict[str, str | None] = {"java": None}
    try:
        said = subprocess.run([find_java(), "-version"], capture_output=True, text=True, check=False).stderr
        found["java"] = match[1] if (match := re.search(r'version "([^"]+)"', said)) else None
        program = f"from importlib.metadata import version\nfor name in {OF_MMS!r}: print(name, version(name))"
        done = subprocess.run([python_of("mms"), "-c", program], capture_output=True, text=True, check=False)
        found |= {f"mms: {name}": version for name, version in map(str.split, done.stdout.splitlines())}
    except InputError:
        pass  # why it is missing stands in `left_out`
    return found
