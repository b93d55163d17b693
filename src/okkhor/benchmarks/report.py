"""What the bench found, as a table for people and as JSON for later."""

import os
import platform
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.table import Table

from okkhor.benchmarks.rounds import Figure, Goal
from okkhor.benchmarks.setting import Setting

PACKAGES = ("torch", "pytorch-lightning", "hydra-core", "numpy", "pandas", "pyarrow", "opencv-python-headless")


def table(figures: Sequence[Figure]) -> Table:
    """A row a figure: both medians, the ratio, its smallest and largest round, the goal and whether it was met.

    80 columns are enough.
    """
    made = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    made.add_column("ours / other", header_style="dim", no_wrap=True)
    made.add_column("", style="dim", no_wrap=True)
    for title in ("ours", "other", "ratio", "rounds", "goal"):
        made.add_column(title, justify="right", header_style="dim", no_wrap=True)
    made.add_column("", no_wrap=True)
    for figure in figures:
        ratio, unit = figure.ratio, figure.ours.unit
        made.add_row(
            figure.name,
            unit,
            *(number(side.median) for side in (figure.ours, figure.other, ratio)),
            f"{number(min(ratio.rounds))} - {number(max(ratio.rounds))}",
            limit(figure.goal, unit),
            {True: "[green]met[/]", False: "[red]missed[/]", None: ""}[figure.met],
        )
    return made


def as_json(figures: Sequence[Figure], setting: Setting, load_before: tuple[float, ...]) -> dict[str, Any]:
    """Everything that was measured, and where. load_before: see `load`, before the first measurement."""
    return {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": shlex.join([Path(sys.executable).name, *sys.argv]),
        "machine": {**machine(), "load_before": load_before, "load_after": load()},
        "settings": {name: getattr(setting, name) for name in ("rows", "rounds", "seconds", "steps")},
        "figures": [figure.to_json() for figure in figures],
    }


def machine(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Processor, cores, memory, system, and the versions of what was measured."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "usable_cores": usable,
        "memory_gb": _memory(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
    }


def load() -> tuple[float, ...]:
    """Processes that wanted a core, on average over 1, 5 and 15 minutes; empty where the system does not count them."""
    return tuple(round(value, 2) for value in os.getloadavg()) if hasattr(os, "getloadavg") else ()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def limit(goal: Goal | None, unit: str) -> str:
    """A goal in few letters: ≤ 1.5 s."""
    if goal is None:
        return ""
    return f"{'≥' if goal.at_least else '≤'} {goal.limit:g}{'' if goal.of == 'ratio' else f' {unit}'}"


def number(value: float) -> str:
    """Three digits at least, none of them invented: 1.234, 12.3, 12,345."""
    return f"{value:.3f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:,.0f}"
