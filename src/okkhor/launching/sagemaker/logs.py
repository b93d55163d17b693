"""What a job prints, from CloudWatch: a stream for each host, read on from where the last look ended."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from okkhor.aws.calling import is_missing

GROUP = "/aws/sagemaker/TrainingJobs"
MAIN = "algo-1"


class LogReader:
    """The lines of a job. client: boto3's of CloudWatch Logs."""

    def __init__(self, client: Any, job: str) -> None:
        self.client, self.job = client, job
        self.tokens: dict[str, str | None] = {}  # stream -> where to read on

    def new_lines(self) -> Iterator[tuple[str, str]]:
        """(host, line) of what was printed since the last call, host by host; raises botocore's errors."""
        for stream in self._streams():
            host = stream.rpartition("/")[2].rpartition("-")[0]
            host = "-".join(host.split("-")[:2])  # algo-1-1700000000, and more after a spot machine was taken away
            while True:
                more: dict[str, Any] = {"nextToken": token} if (token := self.tokens.get(stream)) else {}
                answer = self.client.get_log_events(
                    logGroupName=GROUP, logStreamName=stream, startFromHead=True, **more
                )
                for event in answer["events"]:
                    yield host, event["message"].rstrip()
                if answer["nextForwardToken"] == token or not answer["events"]:
                    self.tokens[stream] = answer["nextForwardToken"]
                    break
                self.tokens[stream] = answer["nextForwardToken"]

    def _streams(self) -> list[str]:
        """The job's streams, those of the first host first; none before it has printed anything."""
        from botocore.exceptions import ClientError

        try:
            pages = self.client.get_paginator("describe_log_streams").paginate(
                logGroupName=GROUP, logStreamNamePrefix=f"{self.job}/"
            )
            return sorted(stream["logStreamName"] for page in pages for stream in page["logStreams"])
        except ClientError as error:
            if is_missing(error):
                return []
            raise

    def all_lines(self) -> list[tuple[str, str]]:
        """(host, line) of all that was printed, from the beginning."""
        return list(LogReader(self.client, self.job).new_lines())

    def append_to(self, path: Path) -> None:
        """Add everything that the job printed to a file, from its beginning."""
        lines = [shown(host, line) for host, line in self.all_lines()]
        if lines:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write("\n".join([f"# {self.job}", *lines]) + "\n")


def shown(host: str, line: str) -> str:
    """A line with its host, where that is not the first."""
    return line if host == MAIN else f"{host}: {line}"
