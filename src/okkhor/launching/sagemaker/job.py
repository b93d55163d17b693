"""A training job that has been started: how it stands, what it prints, its run directory brought back, its stop."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import yaml

from okkhor.atomic import write_atomically
from okkhor.launching.backend import Status
from okkhor.launching.exits import FAILED, STOPPED
from okkhor.launching.sagemaker import contract
from okkhor.launching.sagemaker.logs import LogReader
from okkhor.launching.sagemaker.record import JobRecord, collected, write_record
from okkhor.launching.sagemaker.request import run_parts
from okkhor.launching.sagemaker.storage import Storage
from okkhor.runs import Run

WORKS = ("Training", "Uploading", "Stopping")  # other secondary statuses are of machines that are being got ready
LIVE = "logs/metrics.csv"  # what is brought while a job runs
OURS = ("config.yaml", "logs/sagemaker.json", "logs/output.log")  # this machine's are the true ones
ENDED_BY_CODE = re.compile(
    r"^(?:\w+Error: )?(?P<text>.*?),? ?exit code: (?P<code>-?\d+)\.?$", re.DOTALL | re.IGNORECASE
)
SET_UP = "Training Execution failed."  # the SDK's words where a job ends before the container's own entry has begun
FACTS = ("TrainingJobStatus", "SecondaryStatus", "FailureReason", "TrainingTimeInSeconds", "BillableTimeInSeconds")


@dataclass(frozen=True)
class State:
    """How a job stands. secondary: SageMaker's own word for it; message, code: why it ended, where it is not done."""

    status: Status
    secondary: str
    message: str = ""
    code: int = 0

    @classmethod
    def of(cls, answer: Mapping[str, Any], run: Run) -> "State":
        """What DescribeTrainingJob answers."""
        word, secondary = answer["TrainingJobStatus"], answer["SecondaryStatus"]
        goes_on = f"go on with: python train.py resume={run.path}"
        if word == "Completed":
            return cls(Status.DONE, secondary)
        if word == "Stopped" and secondary in ("MaxRuntimeExceeded", "MaxWaitTimeExceeded"):
            option = "max_run" if secondary == "MaxRuntimeExceeded" else "max_wait"
            said = f"job {answer['TrainingJobName']} reached launcher.{option}; {goes_on}"
            return cls(Status.FAILED, secondary, said, FAILED)
        if word == "Stopped":
            return cls(Status.STOPPED, secondary, f"job {answer['TrainingJobName']} was stopped; {goes_on}", STOPPED)
        if word == "Failed":
            return cls(Status.FAILED, secondary, *read_reason(answer.get("FailureReason", "")))
        return cls(Status.RUNNING if secondary in WORKS else Status.QUEUED, secondary)


def read_reason(reason: str) -> tuple[str, int]:
    """What a job says of its failure, and its exit status, from SageMaker's sentence about both."""
    found = ENDED_BY_CODE.match(reason.strip())
    if found is None or not found["text"].strip():
        return reason.strip() or "failed without a word; its log may say more", FAILED
    code = int(found["code"])
    return found["text"].strip(), code if code > 0 else FAILED


def telling(lines: list[str]) -> str:
    """The line of a log that says most of why a set-up failed: pip's first error, else the last of Python's."""
    of_pip = [line for line in lines if line.startswith("ERROR:")]
    of_python = [line for line in lines if re.match(r"(\w+\.)*\w+Error\b", line)]
    return (of_pip[:1] or of_python[-1:] or ["its log may say more"])[0].strip()


class RemoteJob:
    """One job of a run. client: of boto3, by the service's name."""

    def __init__(self, run: Run, record: JobRecord, client: Any, key: str | None = None) -> None:
        self.run, self.record = run, record
        self.sagemaker = client("sagemaker")
        self.storage = Storage(client("s3"), key)
        self.log = LogReader(client("logs"), record.name)
        self.tags: dict[str, str] = {}  # of the objects that were brought, as they were then

    def look(self) -> State:
        """How it stands now; raises botocore's errors."""
        self.answer = self.sagemaker.describe_training_job(TrainingJobName=self.record.name)
        state = State.of(self.answer, self.run)
        if state.message.startswith(SET_UP):
            said = telling([line for _, line in self.log.all_lines()])
            return replace(state, message=f"failed before train.py began: {said}")
        return state

    def stop(self) -> None:
        """Ask SageMaker to stop it: it has two minutes to save. A job that has ended stays as it ended."""
        from botocore.exceptions import ClientError

        with suppress(ClientError):
            self.sagemaker.stop_training_job(TrainingJobName=self.record.name)

    @property
    def stored(self) -> str:
        """The run directory in S3."""
        return "/".join((self.record.checkpoints, "runs", *run_parts(self.run)))

    def bring(self, *, live: bool = False) -> None:
        """Bring back what has changed since the last time. live: the learning curves alone."""
        found = [entry for entry in self.storage.listed(self.stored) if entry.name not in OURS]
        wanted = [e for e in found if self.tags.get(e.name) != e.tag and (not live or e.name == LIVE)]
        self.storage.fetch(self.stored, wanted, self.run.path)
        self.tags |= {entry.name: entry.tag for entry in wanted}

    def collect(self) -> None:
        """Bring back the run directory of a job that has ended, as if it had run here, and what SageMaker says."""
        self.bring()
        if not (self.run.path / "metrics.json").is_file():
            # the same files once more, in case the last of them did not reach the checkpoints
            self.storage.unpack(f"{self.record.output}/output.tar.gz", self.run.path, keep=OURS)
        self.log.append_to(self.run.logs / "output.log")
        self._complete_provenance()
        facts = {name: self.answer[name] for name in FACTS if name in self.answer}
        self.record = collected(self.record, {**facts, **self.answer["ResourceConfig"]})
        write_record(self.run, self.record)

    def _complete_provenance(self) -> None:
        """The container has no git: what was sent is known here."""
        path = self.run.path / "provenance.yaml"
        if not path.is_file() or self.record.git is None:
            return
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if content.get("git") is None:
            content["git"] = self.record.git
            write_atomically(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def seed_files(run: Run) -> list[tuple[Any, str]]:
    """What a run that goes on takes along, as (file, its name in the run), without what the job gets as a channel."""
    found = []
    for path in sorted(run.path.rglob("*")):
        name = path.relative_to(run.path).as_posix()
        if path.is_file() and name not in OURS and not path.name.startswith("."):
            found.append((path, name))
    return found


assert contract.RUNS.name == "runs"  # `stored` is that folder's place in S3
