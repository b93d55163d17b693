"""What a run directory knows of its training jobs: logs/sagemaker.json, so that they are found again from anywhere."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from okkhor.atomic import write_atomically
from okkhor.errors import InputError
from okkhor.runs import Run

FILE = "sagemaker.json"  # in the run's logs


@dataclass(frozen=True)
class JobRecord:
    """One training job of a run.

    name: SageMaker's; checkpoints: folder in S3 that holds the run; output: folder in S3 of model.tar.gz and
    output.tar.gz; log: the command's git state for provenance.yaml; collected: whether its ending was brought back;
    facts: how it ended, and what was billed.
    """

    name: str
    region: str
    checkpoints: str
    output: str
    git: dict[str, str] | None = None
    collected: bool = False
    facts: dict[str, Any] | None = None


def record_file(run: Run) -> Path:
    return run.logs / FILE


def read_records(run: Run) -> list[JobRecord]:
    """The run's jobs, oldest first. Raises InputError for a file that cannot be read."""
    path = record_file(run)
    if not path.is_file():
        return []
    try:
        return [JobRecord(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))["jobs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read: {error}; expected what launcher=sagemaker wrote") from error


def write_record(run: Run, record: JobRecord) -> None:
    """Add a job, or what has become known of it."""
    records = {entry.name: entry for entry in read_records(run)} | {record.name: record}
    content = {"jobs": [asdict(entry) for entry in records.values()]}
    record_file(run).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(record_file(run), json.dumps(content, indent=2) + "\n")


def collected(record: JobRecord, facts: dict[str, Any]) -> JobRecord:
    """The record of a job whose ending has been brought back."""
    return replace(record, collected=True, facts=facts)
