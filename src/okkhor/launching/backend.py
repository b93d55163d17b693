"""Contract 5: a place where jobs run. A new place is one small class with submit, status, result and stop."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import StrEnum

from omegaconf import DictConfig

from okkhor.runs import Run


class Status(StrEnum):
    """What a job is at."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"  # on request, its last.ckpt saved: `resume=` goes on
    LEFT = "left"  # started, and not waited for

    @property
    def ended(self) -> bool:
        return self in (Status.DONE, Status.FAILED, Status.STOPPED, Status.LEFT)


class Backend(ABC):
    """A place. Jobs are named by a string of its own making."""

    at_once: int | None = None  # jobs that may be submitted at a time; None: any number, the place queues them
    in_place = False  # whether a single run needs no submitting: it is started in the process that was typed
    here = False  # whether the jobs run on this machine, whose devices are known
    silent = True  # whether what a job prints goes elsewhere than to this terminal
    waits = True  # whether jobs are watched to their end; else they are started and left
    shows = False  # whether jobs are only to be shown (`show`), and nothing is started or made
    alone = False  # whether a single run is all that this command does
    passed_on: Sequence[str] = ()  # what a resumed run is given besides `resume=`: where things lie now

    def check(self, config: DictConfig) -> None:  # noqa: B027 - most places take every run
        """Raise InputError for a run that this place can never take, before anything is made."""

    def show(self, config: DictConfig, run: Run | None = None) -> None:
        """Say what `submit` would ask for; run: one that is there already. For a place that `shows`."""
        raise NotImplementedError

    def leave(self, jobs: int) -> bool:
        """Asked after Ctrl-C: whether so many running jobs go on without this process, which `where` finds again."""
        return False

    def where(self, run: Run) -> str:
        """The command that finds a job again which was left."""
        raise NotImplementedError

    @abstractmethod
    def submit(self, run: Run) -> str:
        """Have `train.py resume=<run.path>` started there; returns the job's name.

        Raises InputError where the place is not to be had, JobFailedError where it does not take this run.
        """

    @abstractmethod
    def status(self, job: str) -> Status:
        """What the job is at now."""

    @abstractmethod
    def result(self, job: str) -> float:
        """The objective of a job that is done; raises JobFailedError for one that ended otherwise."""

    @abstractmethod
    def stop(self, job: str) -> None:
        """Ask a job to save last.ckpt and end; asked again, it is ended at once."""

    @abstractmethod
    def close(self) -> None:
        """Leave nothing behind on this machine."""
