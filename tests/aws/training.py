"""SageMaker's training jobs in the local AWS: what it takes, refuses and answers.

A double: moto's own jobs are done as soon as they are made, and nothing of them is ever run.
"""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from aws.faults import RefusedError
from aws.hosts import Account
from aws.jobs import TrainingJob

ACCOUNT, REGION = "123456789012", "us-east-1"
WAIT_SECONDS = 600  # for a job that hangs; a busy computer may take minutes
Handler = Callable[[dict[str, Any]], dict[str, Any]]


class TrainingJobs:
    """The jobs of an account. at_once: how many of them run at a time; the others wait."""

    def __init__(self, account: Account, at_once: int) -> None:
        self.account = account
        self.room = threading.Semaphore(at_once)
        self.jobs: dict[str, TrainingJob] = {}  # grows in the server's threads: gone through as a list
        self.threads: list[threading.Thread] = []
        self.closing = False
        self.handlers: dict[str, Handler] = {
            "CreateTrainingJob": self._create,
            "DescribeTrainingJob": lambda request: self._job(request).describe(),
            "StopTrainingJob": self._stop,
            "ListTrainingJobs": self._list,
            "ListTags": self._tags,
        }

    def close(self) -> None:
        """End what runs."""
        self.closing = True
        for job in list(self.jobs.values()):
            job.kill()
        for thread in self.threads:
            thread.join(WAIT_SECONDS)

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["TrainingJobName"]
        if wrong := against_rules(request):
            raise RefusedError("ValidationException", wrong)
        if name in self.jobs:
            raise RefusedError("ResourceInUse", "Training job names must be unique within an AWS account and region")
        self.check_role(request["RoleArn"])
        for channel in request.get("InputDataConfig") or []:
            self._check_objects(channel["DataSource"]["S3DataSource"]["S3Uri"], request["RoleArn"])
        self._check_bucket(request["OutputDataConfig"]["S3OutputPath"])
        if checkpoints := request.get("CheckpointConfig"):
            self._check_bucket(checkpoints["S3Uri"])
        job = TrainingJob(self.account, request, f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/{name}")
        self.jobs[name] = job

        def run() -> None:
            with self.room:
                if not self.closing:
                    job.run()

        thread = threading.Thread(target=run, name=name, daemon=True)
        self.threads.append(thread)
        thread.start()
        return {"TrainingJobArn": job.arn}

    def check_role(self, arn: str) -> None:
        iam = self.account.client("iam")
        try:
            document = iam.get_role(RoleName=arn.rpartition("/")[2])["Role"]
            trusted = "sagemaker.amazonaws.com" in json.dumps(document["AssumeRolePolicyDocument"])
        except iam.exceptions.NoSuchEntityException:
            trusted = False
        if not trusted:
            raise RefusedError(
                "ValidationException",
                f"Could not assume role {arn}. Please ensure that the role exists and allows principal "
                "'sagemaker.amazonaws.com' to assume the role.",
            )

    def _check_objects(self, uri: str, role: str) -> None:
        store = self.account.client("s3")
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        try:
            found = store.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("KeyCount", 0)
            cause = "" if found else "There are no objects under that prefix"
        except store.exceptions.NoSuchBucket:
            cause = "The specified bucket does not exist"
        if cause:
            raise RefusedError(
                "ValidationException",
                f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
                f"exists in the selected region ({REGION}), that objects exist under that S3 prefix, and that the role "
                f'"{role}" has "s3:ListBucket" permissions on bucket "{bucket}". Error message from S3: {cause}',
            )

    def _check_bucket(self, uri: str) -> None:
        store = self.account.client("s3")
        bucket = uri.removeprefix("s3://").partition("/")[0]
        try:
            store.list_objects_v2(Bucket=bucket, MaxKeys=1)
        except store.exceptions.NoSuchBucket:
            raise RefusedError("ValidationException", f"The specified bucket does not exist: {uri}") from None

    def _job(self, request: Mapping[str, Any]) -> TrainingJob:
        if (name := request["TrainingJobName"]) not in self.jobs:
            raise RefusedError("ValidationException", "Requested resource not found.")
        return self.jobs[name]

    def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        job = self._job(request)
        if job.over:
            raise RefusedError(
                "ValidationException", f"The request was rejected because the training job is in status {job.status}"
            )
        job.stop()
        return {}

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        keys = (
            "TrainingJobName",
            "TrainingJobArn",
            "CreationTime",
            "TrainingEndTime",
            "LastModifiedTime",
            "TrainingJobStatus",
        )
        found = []
        for job in reversed(list(self.jobs.values())):
            named = request.get("NameContains", "") in job.name
            if named and request.get("StatusEquals", job.status) == job.status:
                told = job.describe()
                found.append({key: told[key] for key in keys if key in told})
        return {"TrainingJobSummaries": found[: request.get("MaxResults", 10)]}

    def _tags(self, request: dict[str, Any]) -> dict[str, Any]:
        for job in list(self.jobs.values()):
            if job.arn == request["ResourceArn"]:
                return {"Tags": job.request.get("Tags", [])}
        return {"Tags": []}


def against_rules(request: Mapping[str, Any]) -> str | None:
    """What the service refuses although its model allows it; from the pages of spot training and of warm pools."""
    spot, limits = request.get("EnableManagedSpotTraining"), request["StoppingCondition"]
    wait, run = limits.get("MaxWaitTimeInSeconds"), limits.get("MaxRuntimeInSeconds", 86400)
    if spot and (wait is None or wait < run):
        return f"Invalid MaxWaitTimeInSeconds. It must be present and at least MaxRuntimeInSeconds ({run})"
    if not spot and wait is not None:
        return "MaxWaitTimeInSeconds above 0 is not allowed without EnableManagedSpotTraining"
    if spot and request["ResourceConfig"].get("KeepAlivePeriodInSeconds"):
        return "KeepAlivePeriodInSeconds is not supported with EnableManagedSpotTraining"
    return None
