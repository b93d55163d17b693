"""Training jobs of the local AWS: their life from `Starting` to their end, on the machines of `machine.py`.

A double of what SageMaker does around a container: it lays out /opt/ml, fetches the channels, brings logs to
CloudWatch and checkpoints to S3, reads metrics from the logs, packs what the container left, says how it ended.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlparse

ROOT = Path(__file__).resolve().parents[2]
MACHINE = Path(__file__).with_name("machine.py")
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
MESSAGES = {
    "Starting": "Starting the training job",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Interrupted": "Training job interrupted, waiting for capacity",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}
POLL_SECONDS = 0.1
SYNC_SECONDS = 1.0
LINES_AT_ONCE = 1000


class Account(Protocol):
    """What a job needs of the local AWS that it runs in."""

    grace: float
    url: str
    socket: Path
    container_environment: dict[str, str]

    def client(self, service: str) -> Any: ...


@dataclass(eq=False)
class TrainingJob:
    """One job. request: what CreateTrainingJob was given; arn: its own."""

    account: Account
    request: dict[str, Any]
    arn: str
    created: float = field(default_factory=time.time)
    status: str = "InProgress"
    transitions: list[dict[str, Any]] = field(default_factory=list)
    failure: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)  # of each log that CloudWatch has
    synced: dict[Path, tuple[int, int]] = field(default_factory=dict)  # what S3 has of the checkpoints
    machines: subprocess.Popen | None = None
    interrupted: bool = False
    started: float | None = None
    ended: float | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    tries: int = 0

    def __post_init__(self) -> None:
        self.pass_to("Starting")

    @property
    def name(self) -> str:
        return self.request["TrainingJobName"]

    @property
    def secondary(self) -> str:
        return self.transitions[-1]["Status"]

    @property
    def over(self) -> bool:
        return self.status in ("Completed", "Failed", "Stopped")

    def pass_to(self, secondary: str) -> None:
        now = time.time()
        if self.transitions:
            self.transitions[-1]["EndTime"] = now
        self.transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": MESSAGES[secondary]})

    def describe(self) -> dict[str, Any]:
        """As DescribeTrainingJob answers: the request again, but for its tags, and how it stands."""
        with self.lock:
            told = {key: value for key, value in self.request.items() if key != "Tags" and value != {}}
            told |= {
                "TrainingJobArn": self.arn,
                "TrainingJobStatus": self.status,
                "SecondaryStatus": self.secondary,
                "SecondaryStatusTransitions": [dict(one) for one in self.transitions],
                "CreationTime": self.created,
                "LastModifiedTime": self.transitions[-1]["StartTime"],
                "ModelArtifacts": {"S3ModelArtifacts": f"{self.output}/model.tar.gz"},
                "FinalMetricDataList": [
                    {"MetricName": name, "Value": value, "Timestamp": self.transitions[-1]["StartTime"]}
                    for name, value in self.metrics.items()
                ],
            }
            if self.started:
                told["TrainingStartTime"] = self.started
            if self.ended:
                seconds = int(self.ended - (self.started or self.ended))
                told |= {
                    "TrainingEndTime": self.ended,
                    "TrainingTimeInSeconds": seconds,
                    "BillableTimeInSeconds": seconds,
                }
            if self.failure:
                told["FailureReason"] = self.failure
            return told

    def stop(self) -> None:
        """As StopTrainingJob: SIGTERM to the containers, what they leave is kept."""
        with self.lock:
            if not self.over and self.status != "Stopping":
                self.status = "Stopping"
                self.pass_to("Stopping")
                self._tell("stop")

    def interrupt(self) -> None:
        """Take the machines away, as spot does; run() then starts anew."""
        assert self.request.get("EnableManagedSpotTraining"), f"{self.name} is not on spot"
        with self.lock:
            assert self.machines is not None, f"{self.name} has no machines yet"
            self.interrupted = True
            self._tell("kill")

    def kill(self) -> None:
        """End it at once, as the computer's end would."""
        with self.lock:
            self.status = "Stopping" if not self.over else self.status
            self._tell("kill")

    def run(self) -> None:
        """From `Starting` to the end; never raises."""
        try:
            while not self.over:
                with tempfile.TemporaryDirectory(prefix="okkhor-job-", ignore_cleanup_errors=True) as folder:
                    self._try(Path(folder))
        except Exception as error:
            traceback.print_exc()
            self._end("Failed", failure=f"InternalServerError: {type(error).__name__}: {error}")

    def _try(self, folder: Path) -> None:
        """One attempt on fresh machines; where they were taken away, the job is left in progress."""
        with self.lock:
            if self.status == "Stopping":
                return self._end("Stopped")
            self.pass_to("Downloading")
        hosts = {
            f"algo-{n + 1}": folder / f"algo-{n + 1}" for n in range(self.request["ResourceConfig"]["InstanceCount"])
        }
        for host, place in hosts.items():
            self._lay_out(host, list(hosts), place)
        fetched = [path for place in hosts.values() for path in files_of(place / "ml" / "checkpoints")]
        with self.lock:
            if self.status == "Stopping":
                return self._end("Stopped")
            self.interrupted, self.lines = False, {}
            self.synced = {path: mark_of(path) for path in fetched}
            self.tries += 1
            self.started = self.started or time.time()
            self.pass_to("Training")
            self.machines = self._start(hosts, folder)
        codes, exceeded = self._watch(hosts)
        self._bring_logs(hosts)
        self._bring_checkpoints(hosts)
        with self.lock:
            self.machines = None
            if self.interrupted and self.status != "Stopping":
                self.pass_to("Interrupted")
                self.pass_to("Starting")
                return None
            self.pass_to("Uploading")
        completed = all(codes.get(host) == 0 for host in hosts)
        self._bring_output(hosts, completed)
        if self.status == "Stopping":
            return self._end("Stopped")
        if exceeded:
            return self._end("Stopped", "MaxRuntimeExceeded")
        return self._end("Completed") if completed else self._end("Failed", failure=reason(hosts, codes))

    def _end(self, status: str, secondary: str | None = None, failure: str | None = None) -> None:
        with self.lock:
            self.ended = time.time()
            self.status, self.failure = status, failure
            self.pass_to(secondary or status)

    def _lay_out(self, host: str, hosts: list[str], place: Path) -> None:
        """What the container finds: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html."""
        ml = place / "ml"
        for name in ("input/config", "input/data", "model", "output/data", "checkpoints"):
            (ml / name).mkdir(parents=True)
        (place / "stage").mkdir()
        (place / "hosts").write_text(f"127.0.0.1 localhost {' '.join(hosts)}\n")
        channels = {}
        for channel in self.request.get("InputDataConfig") or []:
            source = channel["DataSource"]["S3DataSource"]
            self._fetch(source["S3Uri"], ml / "input" / "data" / channel["ChannelName"])
            channels[channel["ChannelName"]] = {
                "TrainingInputMode": channel.get("InputMode")
                or self.request["AlgorithmSpecification"]["TrainingInputMode"],
                "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
                "RecordWrapperType": "None",
            }
        if checkpoints := self.request.get("CheckpointConfig"):
            self._fetch(checkpoints["S3Uri"], ml / "checkpoints")
        instance = self.request["ResourceConfig"]["InstanceType"]
        resources = {
            "current_host": host,
            "current_instance_type": instance,
            "current_group_name": "homogeneousCluster",
            "hosts": hosts,
            "instance_groups": [
                {"instance_group_name": "homogeneousCluster", "instance_type": instance, "hosts": hosts}
            ],
            "network_interface_name": "lo",
        }
        written = {
            "hyperparameters": self.request.get("HyperParameters") or {},
            "inputdataconfig": channels,
            "resourceconfig": resources,
        }
        for name, content in written.items():
            (ml / "input" / "config" / f"{name}.json").write_text(json.dumps(content))

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

    def _start(self, hosts: dict[str, Path], folder: Path) -> subprocess.Popen:
        algorithm = self.request["AlgorithmSpecification"]
        # without an entry point a request means what its image runs: in Amazon's, sagemaker-training's `train`
        command = [*algorithm.get("ContainerEntrypoint", ["train"]), *algorithm.get("ContainerArguments", [])]
        isolated = self.request.get("EnableNetworkIsolation", False)
        environment = {
            **self.account.container_environment,
            "TRAINING_JOB_NAME": self.name,
            "TRAINING_JOB_ARN": self.arn,
            **(self.request.get("Environment") or {}),
        }
        description = {
            "hosts": {host: str(place) for host, place in hosts.items()},
            "command": command,
            "environment": environment,
            "grace": self.account.grace,
            "read_only": [
                f"input/data/{channel['ChannelName']}"
                for channel in self.request.get("InputDataConfig") or []
                if channel.get("InputMode") == "FastFile"
            ],
            "hidden": hidden_folders(),
            "kept": kept_folders(),
            "endpoint": None
            if isolated
            else {"port": urlparse(self.account.url).port, "socket": str(self.account.socket)},
        }
        path = folder / "job.json"
        path.write_text(json.dumps(description))
        return subprocess.Popen(
            [
                "unshare",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
                sys.executable,
                str(MACHINE),
                str(path),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd="/",
        )

    def _tell(self, word: str) -> None:
        if self.machines is not None and self.machines.stdin is not None:
            with contextlib.suppress(BrokenPipeError, ValueError):
                self.machines.stdin.write(word + "\n")
                self.machines.stdin.flush()

    def _watch(self, hosts: dict[str, Path]) -> tuple[dict[str, int], bool]:
        """Wait for the machines; returns how each ended, and whether they took longer than they may."""
        assert self.machines is not None
        most = self.request["StoppingCondition"].get("MaxRuntimeInSeconds", 86400)
        started, synced, exceeded = time.monotonic(), time.monotonic(), False
        while self.machines.poll() is None:
            self._bring_logs(hosts)
            if time.monotonic() - synced > SYNC_SECONDS:
                self._bring_checkpoints(hosts)
                synced = time.monotonic()
            if not exceeded and time.monotonic() - started > most:
                exceeded = True
                self._tell("stop")
            time.sleep(POLL_SECONDS)
        assert self.machines.stdout is not None
        with self.machines.stdout as said:
            codes = {line["host"]: line["code"] for line in map(json.loads, said)}
        with contextlib.suppress(BrokenPipeError):
            self.machines.stdin.close()
        return codes, exceeded

    def _bring_logs(self, hosts: dict[str, Path]) -> None:
        """New lines of each host to CloudWatch, as SageMaker names its streams, and what they say of metrics."""
        logs = self.account.client("logs")
        for host, place in hosts.items():
            if not (place / "log").exists():
                continue
            whole = (place / "log").read_bytes()
            lines = whole[: whole.rfind(b"\n") + 1].decode(errors="replace").splitlines()
            seen = self.lines.get(host, 0)
            stream = f"{self.name}/{host}-{int(self.created)}" + (f"-{self.tries}" if self.tries > 1 else "")
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

    def _bring_checkpoints(self, hosts: dict[str, Path]) -> None:
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

    def _bring_output(self, hosts: dict[str, Path], completed: bool) -> None:
        """model.tar.gz of a job that did not fail, output.tar.gz of any; hosts' folders are laid over each other."""
        place = urlparse(self.output)
        wanted = {"output": "output/data"} | ({"model": "model"} if completed or self.status == "Stopping" else {})
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


def reason(hosts: dict[str, Path], codes: dict[str, int]) -> str:
    """FailureReason: what the first host that failed left in /opt/ml/output/failure, at most 1,024 characters."""
    failed = next((host for host, code in codes.items() if code != 0), None)
    for host in [failed, *hosts] if failed else hosts:
        path = hosts[host] / "ml" / "output" / "failure"
        if path.is_file():
            return f"AlgorithmError: {path.read_text(errors='replace')}, exit code: {codes.get(host)}"[:1024]
    return f"AlgorithmError: , exit code: {codes.get(failed) if failed else None}"


def files_of(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path


def mark_of(path: Path) -> tuple[int, int]:
    """What differs between two states of a file."""
    state = path.stat()
    return state.st_mtime_ns, state.st_size


def hidden_folders() -> list[str]:
    """Folders of this computer that no container sees: this checkout and where files are for a while; those last."""
    places = [ROOT, Path("/tmp"), Path(tempfile.gettempdir()).resolve()]
    outer = [one for one in places if not any(one != other and one.is_relative_to(other) for other in places)]
    return [str(one) for one in dict.fromkeys(outer)]


def kept_folders() -> list[str]:
    """What of those a container does see: the environments of Python, in place of its image."""
    servers = ROOT / ".servers"
    candidates = {Path(sys.prefix), Path(sys.base_prefix), servers.resolve()}
    return sorted(str(path) for path in candidates if path.is_dir())


def container_path() -> str:
    """The PATH of a container: this environment, then Amazon's toolkit where it is installed."""
    toolkit = ROOT / ".servers" / "training" / "bin"
    return os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin", str(toolkit)])


def can_unshare() -> str | None:
    """Why jobs cannot run here, None where they can."""
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        return "the local AWS runs jobs in namespaces of Linux, with `unshare`; there is none here"
    words = ["unshare", "--net", "--pid", "--fork", "--mount", "--uts", "--mount-proc", "true"]
    tried = subprocess.run(words, capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"the local AWS needs namespaces: {tried.stderr.strip()}"
