"""The local AWS: one account on loopback, moto in front of which training jobs are taken, checked and really run.

A double, see the package's page: no test may need an account of AWS.
"""

import io
import json
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import boto3
from botocore.config import Config

from aws.faults import Fault, Refusal, RefusedError, refusal
from aws.hosts import container_path
from aws.jobs import TrainingJob
from aws.training import ACCOUNT, REGION, WAIT_SECONDS, Handler, TrainingJobs
from okkhor.aws.service_model import faults

KEY = "AKIALOCALAWSFORTESTS"
BUCKET, ROLE = "okkhor-test", "okkhor-training"
TRUST = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
EXPIRED = "The security token included in the request is expired"
CREDENTIAL = re.compile(r"Credential=([^/,]+)/\d+/([^/]+)/([^/]+)/aws4_request")
QUIET = 'SchemaVersion: "1.0"\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n'  # of the SDK


class LocalAws:
    """See the package's page for what a test does with it. Everything is gone when it is closed."""

    bucket = BUCKET
    role = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"

    def __init__(self, *, at_once: int = 4, grace: float = 20) -> None:
        from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
        from werkzeug.serving import make_server

        class Quiet(MotoRequestHandler):
            def log(self, *_: Any) -> None:
                pass

        self.moto = DomainDispatcherApplication(create_backend_app)
        self.folder = Path(tempfile.mkdtemp(prefix="okkhor-aws-"))
        self.socket = self.folder / "socket"
        self.grace = grace
        self.training = TrainingJobs(self, at_once)
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.ordered: list[Fault] = []
        self.expired = False
        self.others: list[Callable[[str, dict[str, Any]], Handler | None]] = []  # of other parts: endpoints
        self.servers = [
            make_server(host, 0, self, threaded=True, request_handler=Quiet)
            for host in ("127.0.0.1", f"unix://{self.socket}")
        ]
        self.url = f"http://127.0.0.1:{self.servers[0].server_port}"
        for server in self.servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self._clients: dict[str, Any] = {}
        self.session = boto3.Session(KEY, "secret", region_name=REGION)
        self._open()

    def _open(self) -> None:
        """A fresh account with a bucket and a role; moto's own state is one for the whole process."""
        from moto.moto_api._internal import moto_api_backend

        moto_api_backend.reset()
        self.client("s3").create_bucket(Bucket=BUCKET)
        policy = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
        self.client("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=policy)

    def close(self) -> None:
        self.training.close()
        for server in self.servers:
            server.shutdown()
            server.server_close()
        for client in self._clients.values():
            client.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to talk to this account and to nothing else."""
        settings = self.folder / "sagemaker.yaml"
        settings.write_text(QUIET)
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(settings),
            "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(settings),
        }

    @property
    def container_environment(self) -> dict[str, str]:
        """What every container finds; one thread a process, as each host shares this computer with others."""
        return {
            "PATH": container_path(),
            "HOME": "/tmp/home",
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "NO_ALBUMENTATIONS_UPDATE": "1",
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }

    def client(self, service: str) -> Any:
        """A boto3 client of this account, one for each service; it is not refused what a test ordered."""
        if service not in self._clients:
            config = Config(user_agent_extra="okkhor-local-aws", s3={"addressing_style": "path"})
            self._clients[service] = boto3.client(
                service, region_name=REGION, endpoint_url=self.url, config=config,
                aws_access_key_id=KEY, aws_secret_access_key="secret",
            )  # fmt: skip
        return self._clients[service]

    @property
    def jobs(self) -> dict[str, TrainingJob]:
        return self.training.jobs

    @property
    def created(self) -> list[str]:
        return list(self.jobs)

    def fail(self, operation: str, code: str, times: int = 1, message: str = "ordered by a test") -> None:
        """Refuse the next `times` requests of an operation, or of any with "*"."""
        self.ordered.append(Fault(operation, code, times, message))

    def expire_credentials(self) -> None:
        self.expired = True

    def renew_credentials(self) -> None:
        self.expired = False

    def until(self, name: str, status: str, line: str | None = None, seconds: float = WAIT_SECONDS) -> None:
        """Wait until a job's secondary status is that, and where asked for, until a line of its logs holds `line`."""

        def reached() -> bool:
            job = self.jobs.get(name)
            if job is None or job.secondary != status:
                assert job is None or not job.over, f"{name} is {job.status}: {job.failure}\n{self.tail(name)}"
                return False
            return line is None or any(line in text for lines in self.logs(name).values() for text in lines)

        self._wait_for(reached, f"{name}: {status} {line or ''}", seconds)

    def wait(self, name: str, seconds: float = WAIT_SECONDS) -> dict[str, Any]:
        """Wait for a job's end; returns its description."""
        self._wait_for(lambda: name in self.jobs and self.jobs[name].over, f"the end of {name}", seconds)
        return self.jobs[name].describe()

    def interrupt(self, name: str) -> None:
        self.jobs[name].interrupt()

    def logs(self, name: str) -> dict[str, list[str]]:
        """A job's lines in CloudWatch, by host, in their order."""
        logs, found = self.client("logs"), {}
        group = "/aws/sagemaker/TrainingJobs"
        try:
            streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
        except logs.exceptions.ResourceNotFoundException:
            return {}
        for stream in sorted(streams, key=lambda one: one["creationTime"]):
            host = stream["logStreamName"].rpartition("/")[2].partition("-")[2]
            host = "algo-" + host.partition("-")[0]
            token: dict[str, str] = {}
            while True:
                page = logs.get_log_events(
                    logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True, **token
                )
                found.setdefault(host, []).extend(event["message"] for event in page["events"])
                if not page["events"]:
                    break
                token = {"nextToken": page["nextForwardToken"]}
        return found

    def tail(self, name: str) -> str:
        """The last lines of each of a job's hosts."""
        return "\n".join(line for lines in self.logs(name).values() for line in lines[-30:])

    def _wait_for(self, reached: Callable[[], bool], what: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < deadline, f"{what}: not within {seconds} s\n{self._told()}"
            time.sleep(0.1)

    def _told(self) -> str:
        """How each job stands, with its last lines; more may be made by the server's threads meanwhile."""
        return "\n".join(f"{name}: {job.secondary}\n{self.tail(name)}" for name, job in list(self.jobs.items()))

    # a request

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        """WSGI: refuse what was ordered, answer what is ours, check the rest of SageMaker's, hand all else to moto."""
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        of_test = "okkhor-local-aws" not in environ.get("HTTP_USER_AGENT", "")
        body: bytes | None = None
        if target or environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
        service, operation = read_operation(environ, target, body)
        if operation == "SimulatePrincipalPolicy":  # which moto lacks; many callers may not ask it
            return answer(
                start_response, refusal(service, target, "AccessDenied", "not authorized to simulate a policy")
            )
        if of_test and (found := self._refused(service, target, operation)):
            return answer(start_response, found)
        if not target.startswith("SageMaker."):
            return self.moto(environ, start_response)
        request = json.loads(body or b"{}")
        self.requests.append((operation, request))
        try:
            if wrong := faults("sagemaker", operation, request):
                raise RefusedError("ValidationException", f"{len(wrong)} validation error(s): {'; '.join(wrong)}")
            if handler := self._handler(operation, request):
                told = json.dumps(handler(request)).encode()
                return answer(start_response, Refusal(200, "application/x-amz-json-1.1", told))
        except RefusedError as error:
            return answer(start_response, refusal(service, target, error.code, str(error)))
        return self._without_empty(environ, start_response)

    def _handler(self, operation: str, request: dict[str, Any]) -> Handler | None:
        for offer in self.others:
            if handler := offer(operation, request):
                return handler
        return self.training.handlers.get(operation)

    def _refused(self, service: str, target: str, operation: str) -> Refusal | None:
        if self.expired:
            return refusal(service, target, "ExpiredToken", EXPIRED)
        for fault in self.ordered:
            if fault.times > 0 and fault.operation in ("*", operation):
                fault.times -= 1
                return refusal(service, target, fault.code, fault.message)
        return None

    def _without_empty(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        """moto's answer without the empty structures that it adds and the SDK's shapes refuse: "VpcConfig": {}."""
        caught: list[tuple[str, list[tuple[str, str]]]] = []
        body = b"".join(self.moto(environ, lambda status, headers, *_: caught.append((status, headers))))
        status, headers = caught[0]
        if status.startswith("200") and body:
            body = json.dumps({key: value for key, value in json.loads(body).items() if value != {}}).encode()
        kept = [(key, value) for key, value in headers if key.lower() != "content-length"]
        start_response(status, [*kept, ("Content-Length", str(len(body)))])
        return [body]


def read_operation(environ: Mapping[str, Any], target: str, body: bytes | None) -> tuple[str, str]:
    """The service and the operation of a request; of S3 those that the tests order faults of."""
    signed = environ.get("HTTP_AUTHORIZATION", "")
    found = CREDENTIAL.search(signed)
    service = found[3] if found else "s3"
    if target:
        return service, target.rpartition(".")[2]
    if body is not None:
        return service, parse_qs(body.decode()).get("Action", [""])[0]
    key = environ.get("PATH_INFO", "/").strip("/").partition("/")[2]
    method = environ["REQUEST_METHOD"].capitalize()
    return service, f"{method}Object" if key else {
        "Get": "ListObjectsV2",
        "Head": "HeadBucket",
        "Put": "CreateBucket",
    }.get(method, "")


def answer(start_response: Callable, told: Refusal) -> list[bytes]:
    start_response(
        f"{told.status} {'OK' if told.status == 200 else 'Refused'}",
        [("Content-Type", told.kind), ("Content-Length", str(len(told.body)))],
    )
    return [told.body]
