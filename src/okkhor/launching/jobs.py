"""Run jobs at a place: so many at a time as it takes, watched, with live progress; all stopped by Ctrl-C."""

import csv
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from okkhor.errors import InputError, JobFailedError, StoppedError
from okkhor.launching.backend import Backend, Status
from okkhor.launching.board import Board
from okkhor.launching.exits import REFUSED, under_nohup
from okkhor.runs import Run

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Job:
    """One job: its number in the sweep, what it overrides, its run directory."""

    number: int
    overrides: list[str]
    run: Run


@dataclass(frozen=True)
class Outcome:
    """How a job ended. objective: of a job that is done; message: why it is not; seconds: since it was submitted."""

    job: Job
    status: Status
    objective: float | None
    message: str
    seconds: float
    code: int = 0  # its exit status


Rows = list[dict[str, str]]  # of a run's logs/metrics.csv, in its order
Watch = Callable[[Job, Rows], bool]  # the newly written rows -> whether to stop the job


@dataclass
class Running:
    """A job at its place, and how much of its metrics has been read."""

    job: Job
    started: float
    status: Status = Status.QUEUED
    seen: int = 0
    newest: dict[str, str] = field(default_factory=dict)  # the last value of each column
    stopping: bool = False

    def news(self) -> Rows:
        """The rows that were written since the last call."""
        path = self.job.run.logs / "metrics.csv"
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = [row for row in csv.DictReader(file) if None not in row and None not in row.values()]
        except FileNotFoundError:
            return []
        new, self.seen = rows[self.seen :], max(self.seen, len(rows))
        for row in new:
            self.newest |= {name: value for name, value in row.items() if value}
        return new


def run_jobs(
    backend: Backend,
    jobs: Iterable[Job],
    *,
    watch: Watch | None = None,
    finished: Callable[[Outcome], None] | None = None,
    total: int | None = None,
) -> list[Outcome]:
    """Have every job run; a failed one does not keep the others from running.

    Jobs are taken one by one, as soon as a place is free. A run that has finished already is not run again.
    watch: see `Watch`; finished: called after each job; total: how many there will be, for the display.
    Jobs of a place that does not wait are left as soon as they are started. Raises StoppedError after Ctrl-C or
    SIGTERM, when all have saved and ended, or are left where the place and the person want that.
    """
    waiting = iter(jobs)
    running: dict[str, Running] = {}
    outcomes: list[Outcome] = []
    board = Board(quiet=not backend.silent, total=total)

    def conclude(outcome: Outcome) -> None:
        outcomes.append(outcome)
        board.ended(outcome)
        if finished is not None:
            finished(outcome)

    with _interrupts_raise(), board:
        try:
            more = True
            while more or running:
                while more and (backend.at_once is None or len(running) < backend.at_once):
                    if (job := next(waiting, None)) is None:
                        more = False
                    elif (job.run.path / "metrics.json").is_file():
                        conclude(Outcome(job, Status.DONE, job.run.metrics()["objective"], "", 0.0))
                    else:
                        _submit(backend, job, running, conclude, board)
                for outcome in _ended(backend, running, watch, board):
                    conclude(outcome)
                time.sleep(POLL_SECONDS if running else 0)
        except KeyboardInterrupt:
            board.pause()
            if running and backend.leave(len(running)):
                for name in list(running):
                    conclude(_left(backend, running.pop(name).job))
                raise StoppedError("the jobs run on") from None
            _stop_all(backend, running, conclude, board)
            raise StoppedError(f"stopped with {len(outcomes)} jobs ended; what has a checkpoint can go on") from None
        finally:
            backend.close()
    return outcomes


def _submit(
    backend: Backend, job: Job, running: dict[str, Running], conclude: Callable[[Outcome], None], board: Board
) -> None:
    try:
        name = backend.submit(job.run)
    except JobFailedError as error:
        if error.code == REFUSED:
            job.run.discard_if_untrained()
        conclude(Outcome(job, Status.FAILED, None, str(error), 0.0, error.code))
        return
    board.started(job, name)
    if backend.waits:
        running[name] = Running(job, time.monotonic())
    else:
        conclude(_left(backend, job))


def _left(backend: Backend, job: Job) -> Outcome:
    return Outcome(job, Status.LEFT, None, backend.where(job.run), 0.0)


def _ended(backend: Backend, running: dict[str, Running], watch: Watch | None, board: Board) -> Iterator[Outcome]:
    """Look at each running job once: its metrics, its status; the outcomes of those that have ended."""
    for name, state in list(running.items()):
        state.status = backend.status(name)  # before its metrics: what it wrote last is read as well
        new = state.news()
        if any(row.get("val/score") for row in new):
            board.news(state)
        if watch is not None and new and not state.stopping and watch(state.job, new):
            backend.stop(name)
            state.stopping = True
        if state.status.ended:
            del running[name]
            yield _outcome(backend, name, state)
    board.refresh(list(running.values()))


def _outcome(backend: Backend, name: str, state: Running) -> Outcome:
    seconds = time.monotonic() - state.started
    try:
        return Outcome(state.job, Status.DONE, backend.result(name), "", seconds)
    except (JobFailedError, InputError) as error:
        status = state.status if state.status is not Status.DONE else Status.FAILED
        return Outcome(state.job, status, None, str(error), seconds, getattr(error, "code", 1))


def _stop_all(backend: Backend, running: dict[str, Running], conclude: Callable[[Outcome], None], board: Board) -> None:
    """Ask every job to save and end, wait for it; once more Ctrl-C ends them at once."""
    board.say(f"stopping {len(running)} jobs; once more to stop at once")
    for name in running:
        backend.stop(name)
    while running:
        try:
            for outcome in _ended(backend, running, None, board):
                conclude(outcome)
            time.sleep(POLL_SECONDS if running else 0)
        except KeyboardInterrupt:
            for name in running:
                backend.stop(name)


@contextmanager
def _interrupts_raise() -> Iterator[None]:
    """SIGTERM counts as Ctrl-C while jobs run, so that a scheduler's stop reaches them.

    So does SIGINT itself where a shell has this process ignore it, as it does in the background of a script.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGINT, signal.SIGTERM]
    if not under_nohup():
        numbers.append(signal.SIGHUP)
    before: dict[signal.Signals, Any] = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
