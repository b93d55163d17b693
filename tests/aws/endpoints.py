"""Endpoints of the local AWS: models, configurations and endpoints of SageMaker, and the runtime that asks them.

A double, see the package's page: moto has no UpdateEndpoint, knows instance types of years ago, and answers what it is
told to. Here an endpoint's container is really started (`containers.py`), an update starts the new one beside the old
one, and what the service refuses although its model allows it is refused.

    hosting = Hosting(aws)      until hosting.close()
    hosting.endpoints[name]     .status, .count (of instances), .container
    hosting.out_of_capacity = 1 the next so many starts fail as AWS does without machines
"""

import base64
import json
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aws.containers import Container
from aws.faults import RefusedError
from aws.server import LocalAws
from aws.training import ACCOUNT, REGION

NO_MACHINES = "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error."
KINDS = {"Model": "model", "EndpointConfig": "endpoint-config", "Endpoint": "endpoint"}


class Endpoint:
    """One endpoint. count: instances that it has, which auto scaling would change."""

    def __init__(self, request: dict[str, Any], configuration: dict[str, Any]) -> None:
        self.request, self.configuration = request, configuration
        self.status, self.reason, self.made = "Creating", "", datetime.now(UTC)
        self.container: Container | None = None
        self.count = configuration["ProductionVariants"][0].get("InitialInstanceCount", 0)
        self.deployed: list[dict[str, Any]] = []  # the UpdateEndpoint requests that it has seen

    @property
    def serverless(self) -> bool:
        return "ServerlessConfig" in self.configuration["ProductionVariants"][0]


class Hosting:
    """See the module's page."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws, self.moto = aws, aws.moto
        self.folder = Path(tempfile.mkdtemp(prefix="hosting-", dir=aws.folder))
        self.requests: dict[str, dict[str, dict[str, Any]]] = {"Model": {}, "EndpointConfig": {}}
        self.endpoints: dict[str, Endpoint] = {}
        self.containers: list[Container] = []
        self.threads: list[threading.Thread] = []
        self.out_of_capacity = 0
        self.handlers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "CreateModel": self._create_model,
            "CreateEndpointConfig": self._create_configuration,
            "CreateEndpoint": self._create,
            "UpdateEndpoint": self._update,
            "DeleteEndpoint": self._delete,
            "DescribeEndpoint": self._describe,
        }
        for kind in self.requests:
            self.handlers |= {
                f"Describe{kind}": lambda request, kind=kind: self._told(kind, request),
                f"Delete{kind}": lambda request, kind=kind: self._drop(kind, request),
                f"List{kind}s": lambda request, kind=kind: self._listed(kind, request),
            }
        aws.others.append(self._offer)
        aws.moto = self

    def close(self) -> None:
        self.aws.moto = self.moto
        for thread in self.threads:
            thread.join(120)
        for container in self.containers:
            container.close()

    def _offer(self, operation: str, request: dict[str, Any]) -> Callable | None:
        if operation == "ListTags" and any(f":{kind}/" in request["ResourceArn"] for kind in KINDS.values()):
            return self._tags
        return self.handlers.get(operation)

    # models and configurations

    def _create_model(self, request: dict[str, Any]) -> dict[str, Any]:
        container = request["PrimaryContainer"]
        self.aws.training.check_role(request["ExecutionRoleArn"])
        if "SAGEMAKER_PROGRAM" not in container["Environment"]:  # the toolkit would look for a script of its own
            raise RefusedError("ValidationException", "no SAGEMAKER_PROGRAM; the container would not find its code")
        bucket, _, key = container["ModelDataUrl"].removeprefix("s3://").partition("/")
        found = self.aws.client("s3").list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)["KeyCount"]
        if not found or (container.get("Mode") == "MultiModel") != key.endswith("/"):
            raise RefusedError("ValidationException", f"Could not find model data at {container['ModelDataUrl']}.")
        return self._keep("Model", request)

    def _check_role(self, arn: str) -> None:
        iam = self.aws.client("iam")
        try:
            iam.get_role(RoleName=arn.rpartition("/")[2])
        except iam.exceptions.NoSuchEntityException:
            raise RefusedError("ValidationException", f"Could not assume role {arn}.") from None

    def _create_configuration(self, request: dict[str, Any]) -> dict[str, Any]:
        (variant,) = request["ProductionVariants"]
        self._told("Model", variant)
        serverless = variant.get("ServerlessConfig")
        if bool(serverless) == ("InstanceType" in variant):
            raise RefusedError("ValidationException", "expected either InstanceType or ServerlessConfig")
        if serverless and (request.get("DataCaptureConfig") or request.get("AsyncInferenceConfig")):
            raise RefusedError("ValidationException", "not supported for serverless endpoints")
        if serverless and serverless["MemorySizeInMB"] % 1024:
            raise RefusedError("ValidationException", "MemorySizeInMB: expected a multiple of 1024")
        return self._keep("EndpointConfig", request)

    def _keep(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        name = request[f"{kind}Name"]
        if name in self.requests[kind]:
            raise RefusedError("ValidationException", f'Cannot create already existing {kind} "{arn(kind, name)}".')
        self.requests[kind][name] = request | {"CreationTime": time.time()}
        return {f"{kind}Arn": arn(kind, name)}

    def _told(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        name = request[f"{kind}Name"]
        if name not in self.requests[kind]:
            raise RefusedError("ValidationException", f'Could not find {kind} "{arn(kind, name)}".')
        kept = {key: value for key, value in self.requests[kind][name].items() if key != "Tags"}
        return kept | {f"{kind}Arn": arn(kind, name)}

    def _drop(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        self._told(kind, request)
        name = request[f"{kind}Name"]
        used = [one.configuration for one in self.endpoints.values()]
        if name in (one["EndpointConfigName"] for one in used) or name in (
            one["ProductionVariants"][0]["ModelName"] for one in used
        ):  # the service allows it, and its pages say never to do it
            raise RefusedError("ValidationException", f"{kind} {name} is in use")
        del self.requests[kind][name]
        return {}

    def _listed(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        names = [name for name in self.requests[kind] if request.get("NameContains", "") in name]
        start = int(request.get("NextToken", 0))
        page = names[start : start + 2]  # small, so that who reads one page only is found out
        made = [
            {
                f"{kind}Name": name,
                f"{kind}Arn": arn(kind, name),
                "CreationTime": self.requests[kind][name]["CreationTime"],
            }
            for name in page
        ]
        rest = {"NextToken": str(start + 2)} if start + 2 < len(names) else {}
        return {f"{kind}s": made, **rest}

    def _tags(self, request: dict[str, Any]) -> dict[str, Any]:
        kind, name = request["ResourceArn"].rpartition(":")[2].split("/")
        if kind == "endpoint":
            return {"Tags": self._endpoint({"EndpointName": name}).request.get("Tags", [])}
        (theirs,) = (one for one, word in KINDS.items() if word == kind)
        self._told(theirs, {f"{theirs}Name": name})
        return {"Tags": self.requests[theirs][name].get("Tags", [])}

    # endpoints

    def _endpoint(self, request: dict[str, Any]) -> Endpoint:
        name = request["EndpointName"]
        if name not in self.endpoints:
            raise RefusedError("ValidationException", f'Could not find endpoint "{arn("Endpoint", name)}".')
        return self.endpoints[name]

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["EndpointName"]
        if name in self.endpoints:
            raise RefusedError("ValidationException", f'Cannot create already existing endpoint "{name}".')
        endpoint = Endpoint(request, self._told("EndpointConfig", request))
        self.endpoints[name] = endpoint
        self._begin(self._come_up, endpoint)
        return {"EndpointArn": arn("Endpoint", name)}

    def _update(self, request: dict[str, Any]) -> dict[str, Any]:
        endpoint, configuration = self._endpoint(request), self._told("EndpointConfig", request)
        if endpoint.status != "InService":
            raise RefusedError("ValidationException", f"Cannot update endpoint in status {endpoint.status}")
        (old,), (new,) = endpoint.configuration["ProductionVariants"], configuration["ProductionVariants"]
        if ("ServerlessConfig" in old) != ("ServerlessConfig" in new):
            raise RefusedError("ValidationException", "Cannot convert between instances and serverless")
        if old.get("InstanceType") != new.get("InstanceType") and self._scaled(request["EndpointName"]):
            raise RefusedError(
                "ValidationException", "deregister the variant as a scalable target before its type changes"
            )
        endpoint.status = "Updating"
        endpoint.deployed.append(request)
        self._begin(self._take_over, endpoint, configuration, request)
        return {"EndpointArn": arn("Endpoint", request["EndpointName"])}

    def _delete(self, request: dict[str, Any]) -> dict[str, Any]:
        endpoint = self._endpoint(request)
        if endpoint.status in ("Creating", "Updating"):
            raise RefusedError("ValidationException", f"Cannot delete endpoint in status {endpoint.status}")
        endpoint.status = "Deleting"
        self._begin(self._go, endpoint)
        return {}

    def _describe(self, request: dict[str, Any]) -> dict[str, Any]:
        endpoint, name = self._endpoint(request), request["EndpointName"]
        configuration = endpoint.configuration
        variant = {"VariantName": configuration["ProductionVariants"][0]["VariantName"]}
        if not endpoint.serverless:
            variant |= {"CurrentInstanceCount": endpoint.count, "DesiredInstanceCount": endpoint.count}
        kept = {key: configuration[key] for key in ("AsyncInferenceConfig",) if key in configuration}
        return {
            "EndpointName": name,
            "EndpointArn": arn("Endpoint", name),
            "EndpointConfigName": configuration["EndpointConfigName"],
            "EndpointStatus": endpoint.status,
            "ProductionVariants": [variant],
            "CreationTime": endpoint.made.timestamp(),
            "LastModifiedTime": time.time(),
            **({"FailureReason": endpoint.reason} if endpoint.reason else {}),
            **kept,
        }

    def _scaled(self, name: str) -> bool:
        asked = {"ServiceNamespace": "sagemaker", "ResourceIds": [f"endpoint/{name}/variant/all"]}
        return bool(self.aws.client("application-autoscaling").describe_scalable_targets(**asked)["ScalableTargets"])

    def _begin(self, what: Callable, *words: Any) -> None:
        thread = threading.Thread(target=what, args=words, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _start(self, configuration: dict[str, Any], name: str) -> Container:
        if self.out_of_capacity:
            self.out_of_capacity -= 1
            raise RuntimeError(NO_MACHINES)
        model = self.requests["Model"][configuration["ProductionVariants"][0]["ModelName"]]
        container = Container(model, self.aws.client("s3"), self.folder)
        self.containers.append(container)
        self._log(name, container)
        return container

    def _come_up(self, endpoint: Endpoint) -> None:
        try:
            if not endpoint.serverless:  # whose container starts when it is asked
                endpoint.container = self._start(endpoint.configuration, endpoint.request["EndpointName"])
            endpoint.status = "InService"
        except Exception as error:
            endpoint.status, endpoint.reason = "Failed", str(error)

    def _take_over(self, endpoint: Endpoint, configuration: dict[str, Any], request: dict[str, Any]) -> None:
        """Blue and green: the new container beside the old one, which ends when the new one answers."""
        try:
            new = None if endpoint.serverless else self._start(configuration, request["EndpointName"])
        except Exception as error:
            endpoint.status, endpoint.reason = "InService", str(error)
            return
        old, endpoint.container = endpoint.container, new
        endpoint.configuration = configuration
        if not request.get("RetainAllVariantProperties"):
            endpoint.count = configuration["ProductionVariants"][0].get("InitialInstanceCount", 0)
        if old:
            old.close()
        endpoint.status, endpoint.reason = "InService", ""

    def _go(self, endpoint: Endpoint) -> None:
        if endpoint.container:
            endpoint.container.close()
        del self.endpoints[endpoint.request["EndpointName"]]

    def _log(self, name: str, container: Container) -> None:
        logs, group = self.aws.client("logs"), f"/aws/sagemaker/Endpoints/{name}"
        if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            logs.create_log_group(logGroupName=group)
        stream = f"all/i-{uuid.uuid4().hex[:17]}"
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        lines = [{"timestamp": int(time.time() * 1000), "message": line} for line in container.output() if line][:1000]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=lines)

    # the runtime

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        """WSGI: what is asked of endpoints; all else is moto's."""
        words = environ.get("PATH_INFO", "").strip("/").split("/")
        if len(words) != 3 or words[0] != "endpoints" or words[2] not in ("invocations", "async-invocations"):
            return self.moto(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        try:
            endpoint = self._endpoint({"EndpointName": words[1]})
            if endpoint.status not in ("InService", "Updating"):
                raise RefusedError("ValidationException", f"Endpoint {words[1]} is {endpoint.status}")
            asynchronous = "AsyncInferenceConfig" in endpoint.configuration
            if asynchronous != (words[2] == "async-invocations"):
                raise RefusedError("ValidationException", f"Endpoint {words[1]} is not of that type of inference")
            if asynchronous:
                return self._later(endpoint, environ, start_response)
            return self._now(words[1], endpoint, body, environ, start_response)
        except RefusedError as error:
            told = json.dumps({"message": str(error)}).encode()
            return reply(start_response, 400, told, [("x-amzn-ErrorType", error.code)])

    def _now(
        self, name: str, endpoint: Endpoint, body: bytes, environ: dict[str, Any], start_response: Callable
    ) -> list[bytes]:
        if endpoint.container is None:
            endpoint.container = self._start(endpoint.configuration, name)
        target = environ.get("HTTP_X_AMZN_SAGEMAKER_TARGET_MODEL")
        if endpoint.container.several != bool(target):
            raise RefusedError("ValidationException", "TargetModel: of multi-model endpoints, and of those alone")
        status, kind, answer = self._ask(endpoint.container, body, environ, target)
        self._capture(endpoint, body, answer, environ.get("CONTENT_TYPE", ""), kind)
        if status >= 400:
            told = {"OriginalStatusCode": status, "OriginalMessage": answer.decode(), "Message": "from the container"}
            return reply(start_response, 424, json.dumps(told).encode(), [("x-amzn-ErrorType", "ModelError")])
        return reply(start_response, 200, answer, [("x-Amzn-Invoked-Production-Variant", "all")], kind)

    def _ask(
        self, container: Container, body: bytes, environ: dict[str, Any], target: str | None
    ) -> tuple[int, str, bytes]:
        headers = {"Content-Type": environ.get("CONTENT_TYPE", ""), "Accept": environ.get("HTTP_ACCEPT", "*/*")}
        try:
            return container.ask(body, headers, target)
        except self.aws.client("s3").exceptions.ClientError:
            raise RefusedError("ValidationException", f"Failed to download model data ({target})") from None

    def _capture(self, endpoint: Endpoint, asked: bytes, answered: bytes, kind: str, answer_kind: str) -> None:
        """A line for each request, as https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture.html"""
        config = endpoint.configuration.get("DataCaptureConfig", {})
        if not config.get("EnableCapture"):
            return
        as_text = config.get("CaptureContentTypeHeader", {}).get("JsonContentTypes", [])

        def told(kind: str, mode: str, data: bytes) -> dict[str, str]:
            plain = kind in as_text
            written = data.decode() if plain else base64.b64encode(data).decode()
            encoding = "JSON" if plain else "BASE64"
            return {"observedContentType": kind, "mode": mode, "data": written, "encoding": encoding}

        line = {
            "captureData": {
                "endpointInput": told(kind, "INPUT", asked),
                "endpointOutput": told(answer_kind, "OUTPUT", answered),
            },
            "eventMetadata": {"eventId": str(uuid.uuid4())},
        }
        bucket, _, prefix = config["DestinationS3Uri"].removeprefix("s3://").partition("/")
        key = f"{prefix}/{endpoint.request['EndpointName']}/all/{datetime.now(UTC):%Y/%m/%d/%H}/{uuid.uuid4()}.jsonl"
        self.aws.client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(line).encode())

    def _later(self, endpoint: Endpoint, environ: dict[str, Any], start_response: Callable) -> list[bytes]:
        output = endpoint.configuration["AsyncInferenceConfig"]["OutputConfig"]
        asked, inference = environ["HTTP_X_AMZN_SAGEMAKER_INPUTLOCATION"], str(uuid.uuid4())
        places = f"{output['S3OutputPath']}/{inference}.out", f"{output['S3FailurePath']}/{inference}-error.out"
        headers = {
            "CONTENT_TYPE": environ.get("HTTP_X_AMZN_SAGEMAKER_CONTENT_TYPE", ""),
            "HTTP_ACCEPT": environ.get("HTTP_X_AMZN_SAGEMAKER_ACCEPT", "*/*"),
        }

        def work() -> None:
            s3 = self.aws.client("s3")
            bucket, _, key = asked.removeprefix("s3://").partition("/")
            body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            status, _, answer = self._ask(endpoint.container, body, headers, None)
            bucket, _, key = places[status >= 400].removeprefix("s3://").partition("/")
            said = (
                answer if status < 400 else f"Received client error ({status}) from model: {answer.decode()}".encode()
            )
            s3.put_object(Bucket=bucket, Key=key, Body=said)

        self._begin(work)
        told = [("X-Amzn-SageMaker-OutputLocation", places[0]), ("X-Amzn-SageMaker-FailureLocation", places[1])]
        return reply(start_response, 202, json.dumps({"InferenceId": inference}).encode(), told)


def arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{KINDS[kind]}/{name}"


def reply(
    start_response: Callable, status: int, body: bytes, headers: list[tuple[str, str]], kind: str = "application/json"
) -> list[bytes]:
    start_response(f"{status} told", [("Content-Type", kind), ("Content-Length", str(len(body))), *headers])
    return [body]
