"""The whole bench: data made once in a temporary folder, the parts one after the other, one display of progress."""

import importlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from okkhor.benchmarks.rounds import Figure
from okkhor.benchmarks.setting import Setting, extra

PARTS = ("pipeline", "step", "ingest", "startup")
ALL_PARTS = (*PARTS, "scaling", "memory")  # the last ones when they are asked for: make bench-scaling
WITH_DATA = {"pipeline", "ingest", "memory"}
EXTRAS = {"pipeline": ["pandas"], "ingest": ["pandas", "psutil"], "memory": ["psutil"]}


def run(root: Path, parts: Sequence[str] = PARTS, **sizes: int) -> tuple[list[Figure], Setting]:
    """Measure the parts in their order; root: the project's folder; sizes: `rows` and `rounds` of `Setting`.

    The temporary folder is removed in the end, whatever happens. Raises InputError for a package that is missing, and
    where the disk has no room.
    """
    for name in {name for part in parts for name in EXTRAS.get(part, [])}:
        extra(name)
    with tempfile.TemporaryDirectory(prefix="okkhor-bench-") as scratch:
        setting = Setting(root, Path(scratch), **sizes)
        with_data = bool(WITH_DATA & set(parts))
        total = len(parts) * setting.rounds + with_data + ("pipeline" in parts)
        columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("starting", total=total)

            def tick(done: str) -> None:
                bar.update(task, advance=1, description=done)

            if with_data:
                bar.update(task, description=f"rendering {setting.rows:,} images")
                setting.render()
                tick("images rendered")
            figures: list[Figure] = []
            for part in parts:
                figures += importlib.import_module(f"okkhor.benchmarks.{part}").measure(setting, tick)
    return figures, setting
