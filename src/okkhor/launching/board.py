"""Live progress of jobs: a table on a terminal, a line an event in a log."""

import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from okkhor.launching.backend import Status
from okkhor.reports.reading import read_duration, read_value, short_names

if TYPE_CHECKING:
    from okkhor.launching.jobs import Job, Outcome, Running


class Board:
    """What the jobs are at. quiet: they print here themselves, so only their beginning and end are said.

    total: how many jobs a sweep has, which says itself where they lie; None: jobs that have a place each.
    """

    def __init__(self, *, quiet: bool, total: int | None = None) -> None:
        self.console = Console(stderr=False, highlight=False)
        self.quiet = quiet
        self.total = total
        self.counts: dict[str, int] = {}
        self.pruned: set[int] = set()  # jobs that were asked to stop, but not all of them at once
        self.live = Live(console=self.console, transient=True, auto_refresh=False)
        self.shows_table = self.console.is_terminal and not quiet

    def __enter__(self) -> "Board":
        if self.shows_table:
            self.live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.live.stop()

    def pause(self) -> None:
        """Leave the terminal to a question; the table comes back with the next `refresh`."""
        if self.shows_table:
            self.live.stop()
            self.live = Live(console=self.console, transient=True, auto_refresh=False)
            self.live.start()

    def say(self, text: str, style: str = "") -> None:
        self.console.print(text, soft_wrap=True, markup=False, style=style)

    def started(self, job: "Job", name: str) -> None:
        """A job has been submitted, as `name`."""
        of = f" of {self.total}" if self.total else ""
        words = [f"{key}={read_value(value)}" for key, value in _varied(job).items()]
        where = [] if self.total else [str(job.run.path)]
        if where or not self.shows_table:
            self.say("  ".join([f"job {job.number}{of}", *words, *where]))

    def news(self, state: "Running") -> None:
        """A job has written the score of an epoch."""
        if not self.quiet and not self.shows_table:
            self.say(f"job {state.job.number}  {'  '.join(_progress(state))}")

    def ended(self, outcome: "Outcome") -> None:
        """A job has ended, one way or another."""
        number, status = outcome.job.number, str(outcome.status)
        if outcome.status is Status.STOPPED and number in self.pruned:
            status = "pruned"
        self.counts[status] = self.counts.get(status, 0) + 1
        found = f"objective {outcome.objective:.4f}" if outcome.objective is not None else outcome.message
        parts = [f"job {number}", status, "" if status == "pruned" else found]
        parts.append("was done before" if status == "done" and not outcome.seconds else read_duration(outcome.seconds))
        if self.shows_table:
            parts += [f"{key}={read_value(value)}" for key, value in _varied(outcome.job).items()]
        style = {"failed": "red", "pruned": "dim", "stopped": "dim"}.get(status, "")
        self.say("  ".join(part for part in parts if part), style)

    def refresh(self, running: "list[Running]") -> None:
        """Show what is running now."""
        self.pruned |= {state.job.number for state in running if state.stopping}
        if not self.shows_table:
            return
        keys = list(dict.fromkeys(key for state in running for key in _varied(state.job)))
        table = Table(box=None, pad_edge=False, title_justify="left", title=self._title(running), title_style="bold")
        for name in ("job", *short_names(keys), "", "epoch", "val/score", "time"):
            table.add_column(name, justify="right" if name in ("epoch", "val/score", "time") else "left")
        for state in running:
            varied = _varied(state.job)
            status = "stopping" if state.stopping else str(state.status)
            cells = [str(state.job.number), *(read_value(varied.get(key, "")) for key in keys), status]
            progress = [part.rpartition(" ")[2] for part in _progress(state)]
            cells += [*progress, *[""] * (2 - len(progress)), read_duration(time.monotonic() - state.started)]
            table.add_row(*(Text(cell) for cell in cells))
        self.live.update(table, refresh=True)

    def _title(self, running: "list[Running]") -> str:
        of = f" of {self.total}" if self.total else ""
        ended = ", ".join(f"{count} {status}" for status, count in self.counts.items())
        return f"{len(running)}{of} jobs running" + (f", {ended}" if ended else "")


def _varied(job: "Job") -> dict[str, str]:
    """A job's own words, as option -> value."""
    return {key: value for key, _, value in (word.partition("=") for word in job.overrides)}


def _progress(state: "Running") -> list[str]:
    """The epoch that has ended last, and its score."""
    parts = []
    if "epoch" in state.newest:
        parts.append(f"epoch {int(float(state.newest['epoch'])) + 1}")
    if "val/score" in state.newest:
        parts.append(f"val/score {float(state.newest['val/score']):.4f}")
    return parts
