"""Contract 5: a place where jobs run. A new place is one small class with submit, status, result and stop."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import StrEnum

from okkhor.runs import Run


class Status(StrEnum):
    """What a job is at."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"  # on request, its last.ckpt saved: `resume=` goes on

    @property
    def ended(self) -> bool:
        return self in (Status.DONE, Status.FAILED, Status.STOPPED)


class Backend(ABC):
    """A place. Jobs are named by a string of its own making."""

    at_once: int | None = None  # jobs that may be submitted at a time; None: any number, the place queues them
    in_place = False  # whether a single run needs no submitting: it is started in the process that was typed
    here = False  # whether the jobs run on this machine, whose devices are known
    silent = True  # whether what a job prints goes elsewhere than to this terminal
    passed_on: Sequence[str] = ()  # what a resumed run is given besides `resume=`: where things lie now

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
