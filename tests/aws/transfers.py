"""What SageMaker brings to a job's hosts and from them: channels, checkpoints, logs, metrics, model and output.

A double of it, over the local S3 and CloudWatch Logs.
"""

import contextlib
import re
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from aws.hosts import Account

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
LINES_AT_ONCE = 1000


class Transfers:
    """Of one job, over all its attempts. Hosts: name -> folder, as `machine.py` has them."""

    def __init__(self, account: Account, request: dict[str, Any]) -> None:
        self.account, self.request = account, request
        self.name = request["TrainingJobName"]
        self.created = int(time.time())
        self.tries = 0
        self.metrics: dict[str, float] = {}
        self.lines: dict[str, int] = {}  # of each host's log that CloudWatch has
        self.synced: dict[Path, tuple[int, int]] = {}  # what S3 has of the checkpoints

    def bring_inputs(self, hosts: dict[str, Path]) -> None:
        """Channels and checkpoints to fresh hosts."""
        for place in hosts.values():
            for channel in self.request.get("InputDataConfig") or []:
                uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
                self._fetch(uri, place / "ml" / "input" / "data" / channel["ChannelName"])
            if checkpoints := self.request.get("CheckpointConfig"):
                self._fetch(checkpoints["S3Uri"], place / "ml" / "checkpoints")
        self.tries += 1
        self.lines = {}
        fetched = (path for place in hosts.values() for path in files_of(place / "ml" / "checkpoints"))
        self.synced = {path: mark_of(path) for path in fetched}

    def _fetch(self, uri: str, into: Path) -> None:
        """Every object under a prefix, by its name from there on; of an object that is named itself, its last part."""
        store, place = self.account.client("s3"), urlparse(uri)
        prefix = place.path.lstrip("/")
        into.mkdir(parents=True, exist_ok=True)
        pages = store.get_paginator("list_objects_v2").paginate(Bucket=place.netloc, Prefix=prefix)
        for key in (entry["Key"] for page in pages for entry in page.get("Contents", [])):
            if not key.endswith("/"):
                path = into / (key[len(prefix) :].lstrip("/") or key.rpartition("/")[2])
                path.parent.mkdir(parents=True, exist_ok=True)
                store.download_file(place.netloc, key, str(path))

    def bring_logs(self, hosts: dict[str, Path]) -> None:
        """New lines of each host to CloudWatch, as SageMaker names its streams, and what they say of metrics."""
        logs = self.account.client("logs")
        for host, place in hosts.items():
            if not (place / "log").exists():
                continue
            whole = (place / "log").read_bytes()
            lines = whole[: whole.rfind(b"\n") + 1].decode(errors="replace").splitlines()
            seen = self.lines.get(host, 0)
            stream = f"{self.name}/{host}-{self.created}" + (f"-{self.tries}" if self.tries > 1 else "")
            if host not in self.lines:
                with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
                    logs.create_log_group(logGroupName=LOG_GROUP)
                logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=stream)
            self.lines[host] = len(lines)
            new = lines[seen:]
            for start in range(0, len(new), LINES_AT_ONCE):
                now = int(time.time() * 1000)
                events = [{"timestamp": now, "message": line or " "} for line in new[start : start + LINES_AT_ONCE]]
                logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=stream, logEvents=events)
            for definition in self.request["AlgorithmSpecification"].get("MetricDefinitions") or []:
                for line in new:
                    if found := re.search(definition["Regex"], line):
                        self.metrics[definition["Name"]] = float(found[1])

    def bring_checkpoints(self, hosts: dict[str, Path]) -> None:
        """What has changed in /opt/ml/checkpoints to S3, from each host to the same place, as SageMaker does."""
        if not (config := self.request.get("CheckpointConfig")):
            return
        store, place = self.account.client("s3"), urlparse(config["S3Uri"])
        prefix = place.path.strip("/")
        for folder in (one / "ml" / "checkpoints" for one in hosts.values()):
            for path in files_of(folder):
                with contextlib.suppress(FileNotFoundError):
                    if self.synced.get(path) != (mark := mark_of(path)):
                        key = f"{prefix}/{path.relative_to(folder)}"
                        store.put_object(Bucket=place.netloc, Key=key, Body=path.read_bytes())
                        self.synced[path] = mark

    @property
    def output(self) -> str:
        return f"{self.request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self.name}/output"

    def bring_output(self, hosts: dict[str, Path], *, model: bool) -> None:
        """output.tar.gz, and model.tar.gz where asked for; hosts' folders are laid over each other."""
        place = urlparse(self.output)
        wanted = {"output": "output/data"} | ({"model": "model"} if model else {})
        for name, inside in wanted.items():
            found = {
                path.relative_to(one / "ml" / inside): path
                for one in hosts.values()
                for path in files_of(one / "ml" / inside)
            }
            if not found and name == "output":
                continue
            with tempfile.TemporaryFile() as file:
                with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
                    for relative, path in sorted(found.items()):
                        archive.add(path, arcname=str(relative))
                file.seek(0)
                key = f"{place.path.strip('/')}/{name}.tar.gz"
                self.account.client("s3").put_object(Bucket=place.netloc, Key=key, Body=file.read())


def files_of(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path


def mark_of(path: Path) -> tuple[int, int]:
    """What differs between two states of a file."""
    state = path.stat()
    return state.st_mtime_ns, state.st_size
