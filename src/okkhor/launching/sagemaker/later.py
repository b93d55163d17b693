"""Jobs that were left, found again by their run directories: how they stand, their logs, their end, their results."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from okkhor.aws.calling import one_line
from okkhor.errors import InputError
from okkhor.launching.backend import Status
from okkhor.launching.sagemaker.account import boto_session
from okkhor.launching.sagemaker.job import RemoteJob, State
from okkhor.launching.sagemaker.logs import shown
from okkhor.launching.sagemaker.record import read_records
from okkhor.runs import Run


@dataclass(frozen=True)
class Found:
    """A run's newest job and how it stands; billed: seconds, where SageMaker says."""

    run: Run
    job: RemoteJob
    state: State
    billed: int | None = None


def runs_in(folder: str) -> list[Run]:
    """The run of a run directory, or those of a sweep's folder, that SageMaker has a job of.

    Raises InputError where there is none.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise InputError(f"{folder}: no such folder; expected a run directory, or that of a sweep")
    here = [path] if (path / "config.yaml").is_file() else []
    below = sorted(path.glob("*/config.yaml"), key=lambda p: (len(p.parent.name), p.parent.name))
    found = [Run.open(one) for one in here or [file.parent for file in below]]
    with_jobs = [run for run in found if read_records(run)]
    if not with_jobs:
        raise InputError(f"{folder}: no job of SageMaker in it; expected what launcher=sagemaker started")
    return with_jobs


def find_jobs(runs: list[Run]) -> Iterator[Found]:
    """The newest job of each run, asked of SageMaker. Raises InputError with AWS's words."""
    clients: dict[str, Callable[[str], Any]] = {}
    for run in runs:
        record = read_records(run)[-1]
        if record.region not in clients:
            clients[record.region] = cache(boto_session(record.region).client)
        job = RemoteJob(run, record, clients[record.region])
        with one_line(f"job {record.name}"):
            state = job.look()
        yield Found(run, job, state, job.answer.get("BillableTimeInSeconds"))


def collect(found: Found) -> str:
    """Bring back what there is of a run: all of a job that has ended, of another what it has written; says which."""
    with one_line(f"job {found.job.record.name}"):
        if not found.state.status.ended:
            found.job.bring()
            return f"{found.state.status}, brought back as far as it is"
        found.job.collect()
    if found.state.status is Status.DONE:
        return f"done, objective {found.run.metrics()['objective']:.4f}"
    return f"{found.state.status}, {found.state.message}"


def stop(found: Found) -> str:
    """Ask for the end of a job; says what becomes of it."""
    if found.state.status.ended:
        return f"{found.state.status} already"
    with one_line(f"job {found.job.record.name}"):
        found.job.stop()
    return "asked to save and stop; then: python scripts/sagemaker.py collect"


def log_lines(found: Found) -> Iterator[str]:
    """What a job has printed so far."""
    with one_line(f"job {found.job.record.name}"):
        for host, line in found.job.log.new_lines():
            yield shown(host, line)
