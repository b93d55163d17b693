"""What a sweep has found: leaderboard.csv and .png in its folder, a table, the command that repeats the best job.

Written anew after each job, so that a sweep that was killed has them, too.
"""

import csv
import io
import math
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from okkhor.atomic import write_atomically
from okkhor.errors import JobFailedError
from okkhor.launching.backend import Status
from okkhor.launching.jobs import Outcome
from okkhor.launching.words import Words
from okkhor.reports.reading import read_duration, read_value, short_names
from okkhor.runs import Run

FILE, PICTURE = "leaderboard.csv", "leaderboard.png"
SHOWN = 20  # rows of the printed table
PRUNED = "pruned"


@dataclass(frozen=True)
class Entry:
    """One job: what was varied, as option -> value as typed; how it ended; objective: its score, or None."""

    number: int
    varied: dict[str, str]
    status: str  # of okkhor.launching.backend.Status, or PRUNED
    objective: float | None = None
    seconds: float = 0.0
    reason: str = ""  # why it has no objective
    metrics: dict[str, float] = field(default_factory=dict)  # more of its scores
    threads: str | None = None  # OMP_NUM_THREADS where it ran: with another number sums are rounded otherwise

    @classmethod
    def of(cls, outcome: Outcome, varied: Mapping[str, str]) -> "Entry":
        """How a job has just ended, or had ended before this process began."""
        run, score = outcome.job.run, outcome.objective
        status, reason = str(outcome.status), outcome.message
        metrics = run.metrics() if score is not None else {}
        if score is not None and not math.isfinite(score):
            score, status, reason = None, str(Status.FAILED), "its objective is not a finite number"
        seconds = outcome.seconds or float(metrics.get("seconds", 0.0))
        scores = {name: value for name, value in metrics.items() if name.startswith("val/")}
        return cls(outcome.job.number, dict(varied), status, score, seconds, reason, scores, _threads(run))


def _threads(run: Run) -> str | None:
    path = run.path / "provenance.yaml"
    if not path.is_file():
        return None
    return yaml.safe_load(path.read_text(encoding="utf-8"))["machine"].get("threads")


def program() -> str:
    """train.py, as it was typed."""
    return sys.argv[0] if Path(sys.argv[0]).name == "train.py" else "train.py"


def announce(folder: Path, words: Words, jobs: int) -> None:
    """Say at the start what all jobs of a sweep have in common, so that nothing later repeats it."""
    console = Console(highlight=False)
    console.print(f"sweep of {jobs} jobs in {folder}", soft_wrap=True, markup=False)
    if words.fixed:
        console.print(f"each with {shlex.join(words.fixed)}", soft_wrap=True, markup=False, style="dim")


class Leaderboard:
    """The jobs of a sweep, best first.

    folder: the sweep's; objective: the metric's name; maximize: whether more is better.
    """

    def __init__(self, folder: Path, words: Words, objective: str, maximize: bool) -> None:
        self.folder, self.words, self.objective, self.maximize = folder, words, objective, maximize
        self.entries: dict[int, Entry] = {}

    def add(self, *entries: Entry) -> None:
        """Take in jobs, those of the same number anew, and write the files."""
        self.entries |= {entry.number: entry for entry in entries}
        if self.entries:
            self.write()

    def ranked(self) -> list[Entry]:
        """Those with an objective, best first, then the others by number."""
        sign = -1 if self.maximize else 1
        return sorted(
            self.entries.values(),
            key=lambda e: (e.objective is None, sign * (e.objective or 0.0), e.number),
        )

    def command(self, entry: Entry) -> str:
        """What repeats a job, as it can be typed in a shell."""
        changed = entry.threads not in (None, os.environ.get("OMP_NUM_THREADS"))
        return (f"OMP_NUM_THREADS={entry.threads} " if changed else "") + shlex.join(
            ["python", program(), *self.words.job(entry.varied)]
        )

    def write(self) -> None:
        """leaderboard.csv and leaderboard.png."""
        ranked = self.ranked()
        scores = [n for n in dict.fromkeys(name for e in ranked for name in e.metrics) if n != self.objective]
        names = ["rank", "job", "status", self.objective, *scores, "seconds", *self.words.varied, "reason", "command"]
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(names)
        for rank, e in enumerate(ranked, 1):
            done = e.objective is not None
            table.writerow([
                rank if done else "", e.number, e.status, e.objective if done else "",
                *(e.metrics.get(name, "") for name in scores), round(e.seconds, 1),
                *(e.varied[key] for key in self.words.varied), e.reason, self.command(e),
            ])  # fmt: skip
        write_atomically(self.folder / FILE, text.getvalue())

        from okkhor.reports.style import save
        from okkhor.reports.sweep import Point, draw_sweep

        points = [Point(e.number, e.varied, e.objective, e.status) for e in ranked]
        save(draw_sweep(points, self.objective, maximize=self.maximize), self.folder / PICTURE)

    def show(self) -> None:
        """Print the table, the reasons of the failed, where the files are and what repeats the best."""
        console = Console(highlight=False)
        ranked = self.ranked()
        console.print()
        console.print(result_table(ranked[:SHOWN], list(self.words.varied), self.objective))
        if len(ranked) > SHOWN:
            console.print(f"and {len(ranked) - SHOWN} more in {FILE}", style="dim")
        for entry in ranked:
            if entry.status == Status.FAILED:
                console.print(f"job {entry.number} failed: {entry.reason}", soft_wrap=True, markup=False, style="red")
        console.print(f"\nsweep        {self.folder}  ({FILE}, {PICTURE})", soft_wrap=True, markup=False)
        if ranked and ranked[0].objective is not None:
            best = ranked[0]
            console.print(f"best         job {best.number}, {self.folder / str(best.number)}", soft_wrap=True)
            console.print(f"repeat it    {self.command(best)}", soft_wrap=True, markup=False)

    def raise_for_failed(self, advice: str = "") -> None:
        """JobFailedError where a job failed, after all others have run. advice: what can be done about it."""
        failed = [e for e in self.entries.values() if e.status == Status.FAILED]
        if failed:
            raise JobFailedError(f"{len(failed)} of {len(self.entries)} jobs failed, {FILE} says why{advice}")


def result_table(ranked: list[Entry], varied: list[str], objective: str) -> Table:
    """Entries as a table: rank, job, objective, what was varied, seconds; how it ended where that is not `done`."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("", "job", objective):
        table.add_column(name, justify="right", no_wrap=True)
    for name in short_names(varied):
        table.add_column(name, overflow="fold")
    table.add_column("time", justify="right", no_wrap=True)
    if any(entry.objective is None for entry in ranked):
        table.add_column("")
    for rank, entry in enumerate(ranked, 1):
        done = entry.objective is not None
        cells = [str(rank) if done else "", str(entry.number), f"{entry.objective:.4f}" if done else ""]
        cells += [read_value(entry.varied[key]) for key in varied]
        cells += [read_duration(entry.seconds), "" if done else entry.status]
        style = "bold" if done and rank == 1 else "" if done else "dim"
        table.add_row(*(Text(cell) for cell in cells[: len(table.columns)]), style=style)
    return table
