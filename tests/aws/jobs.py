"""Training jobs of the local AWS: their life from `Starting` to their end, on the machines of `machine.py`.

A double of what SageMaker does with a job, since none may be started from a test.
"""

import contextlib
import json
import subprocess
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from aws.hosts import Account, lay_out, start
from aws.transfers import Transfers

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


class TrainingJob:
    """One job. request: what CreateTrainingJob was given; arn: its own."""

    def __init__(self, account: Account, request: dict[str, Any], arn: str) -> None:
        self.account, self.request, self.arn = account, request, arn
        self.transfers = Transfers(account, request)
        self.created = time.time()
        self.started: float | None = None
        self.ended: float | None = None
        self.status = "InProgress"
        self.failure: str | None = None
        self.transitions: list[dict[str, Any]] = []
        self.machines: subprocess.Popen | None = None
        self.interrupted = False
        self.lock = threading.RLock()
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
                "ModelArtifacts": {"S3ModelArtifacts": f"{self.transfers.output}/model.tar.gz"},
                "FinalMetricDataList": [
                    {"MetricName": name, "Value": value, "Timestamp": self.transitions[-1]["StartTime"]}
                    for name, value in self.transfers.metrics.items()
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
        count = self.request["ResourceConfig"]["InstanceCount"]
        hosts = {host: folder / host for host in (f"algo-{number + 1}" for number in range(count))}
        for host, place in hosts.items():
            lay_out(self.request, host, list(hosts), place)
        self.transfers.bring_inputs(hosts)
        with self.lock:
            if self.status == "Stopping":
                return self._end("Stopped")
            self.interrupted = False
            self.started = self.started or time.time()
            self.pass_to("Training")
            self.machines = start(self.account, self.request, self.arn, hosts, folder)
        codes, exceeded = self._watch(hosts)
        self.transfers.bring_logs(hosts)
        self.transfers.bring_checkpoints(hosts)
        with self.lock:
            self.machines = None
            if self.interrupted and self.status != "Stopping":
                self.pass_to("Interrupted")
                self.pass_to("Starting")
                return None
            self.pass_to("Uploading")
        completed = all(codes.get(host) == 0 for host in hosts)
        self.transfers.bring_output(hosts, model=completed or self.status == "Stopping")
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
            self.transfers.bring_logs(hosts)
            if time.monotonic() - synced > SYNC_SECONDS:
                self.transfers.bring_checkpoints(hosts)
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


def reason(hosts: dict[str, Path], codes: dict[str, int]) -> str:
    """FailureReason: what the first host that failed left in /opt/ml/output/failure, at most 1,024 characters."""
    failed = next((host for host, code in codes.items() if code != 0), None)
    for host in [failed, *hosts] if failed else hosts:
        path = hosts[host] / "ml" / "output" / "failure"
        if path.is_file():
            return f"AlgorithmError: {path.read_text(errors='replace')}, exit code: {codes.get(host)}"[:1024]
    return f"AlgorithmError: , exit code: {codes.get(failed) if failed else None}"
