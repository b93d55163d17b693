"""The requests that make an endpoint, as boto3 takes them: plain functions of what is wanted and of what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from okkhor.aws.service_model import check
from okkhor.errors import InputError
from okkhor.serving.sagemaker.wanted import CONCURRENCY, INSTANCE_TYPE, MEMORY, Store, Wanted, read_shift

VARIANT = "all"
TAG, TAG_STORE = "okkhor:endpoint", "okkhor:store"  # on all that is made: the endpoint's name, and where its files lie
JSON = "application/json"
WORKERS = "SAGEMAKER_MODEL_SERVER_WORKERS"


@dataclass(frozen=True)
class Call:
    """One request: service and operation as boto3 has them."""

    service: str
    operation: str
    request: dict[str, Any]

    def check(self) -> Call:
        """Itself; raises InputError where the service's model refuses it."""
        check(self.service, self.operation, self.request)
        return self


@dataclass(frozen=True)
class Placed:
    """What the requests name. stamp: of this deployment; archive: s3://… of it, or of several models their folder."""

    wanted: Wanted
    store: Store
    stamp: str
    image: str
    role: str
    archive: str

    @property
    def made(self) -> str:
        """The name of the model and of the configuration."""
        return f"{self.wanted.name}-{self.stamp}"

    @property
    def tags(self) -> list[dict[str, str]]:
        every = {**self.wanted.tags, TAG: self.wanted.name, TAG_STORE: self.store.uri}
        return [{"Key": key, "Value": value} for key, value in every.items()]


def model(placed: Placed, mode: str) -> Call:
    """CreateModel: the image, the archive, and what the toolkit in the image is told by the environment."""
    wanted = placed.wanted
    environment = {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
        "OMP_NUM_THREADS": "1",  # a worker a processor: more threads than that hinder each other
    }
    if wanted.workers:
        environment[WORKERS] = str(wanted.workers)
    container: dict[str, Any] = {"Image": placed.image, "ModelDataUrl": placed.archive, "Environment": environment}
    if mode == "multi-model":
        container["Mode"] = "MultiModel"
        # the toolkit (2.0.25) means to allow it, but its settings file lacks a line's end, and loading is refused
        environment["TS_ENABLE_MODEL_API"] = "true"
    request: dict[str, Any] = {
        "ModelName": placed.made,
        "PrimaryContainer": container,
        "ExecutionRoleArn": placed.role,
        "Tags": placed.tags,
    }
    if wanted.subnets:
        request["VpcConfig"] = {"Subnets": [*wanted.subnets], "SecurityGroupIds": [*wanted.security_groups]}
    if wanted.isolated:
        request["EnableNetworkIsolation"] = True
    return Call("sagemaker", "CreateModel", request)


def configuration(placed: Placed, mode: str, there: Mapping[str, Any] | None = None) -> Call:
    """CreateEndpointConfig; there: the request's members as they are now, of which stays what `wanted` does not say."""
    there = there or {}
    wanted, request = placed.wanted, {name: value for name, value in there.items() if name in KEPT}
    variant = dict(next(iter(there.get("ProductionVariants", [])), {}))
    variant |= {"VariantName": VARIANT, "ModelName": placed.made, "InitialVariantWeight": 1.0}
    if mode == "serverless":
        now = variant.get("ServerlessConfig", {"MemorySizeInMB": MEMORY, "MaxConcurrency": CONCURRENCY})
        said = {"MemorySizeInMB": wanted.memory, "MaxConcurrency": wanted.concurrency}
        variant["ServerlessConfig"] = now | {name: value for name, value in said.items() if value is not None}
        _check_memory(variant["ServerlessConfig"]["MemorySizeInMB"])
    else:
        least = max(wanted.scaling.least, 1) if wanted.scaling else 1
        variant["InstanceType"] = wanted.instance_type or variant.get("InstanceType", INSTANCE_TYPE)
        variant["InitialInstanceCount"] = wanted.count or variant.get("InitialInstanceCount", least)
    request |= {"EndpointConfigName": placed.made, "ProductionVariants": [variant], "Tags": placed.tags}
    if wanted.capture is not None:
        request["DataCaptureConfig"] = _capture(placed, wanted.capture)
    if wanted.kms_key:
        request["KmsKeyId"] = wanted.kms_key
    if mode == "async":
        output = {"S3OutputPath": f"{placed.store.uri}/answers", "S3FailurePath": f"{placed.store.uri}/failures"}
        request["AsyncInferenceConfig"] = there.get("AsyncInferenceConfig", {"OutputConfig": output})
    return Call("sagemaker", "CreateEndpointConfig", request)


KEPT = (
    "ProductionVariants",
    "DataCaptureConfig",
    "KmsKeyId",
    "AsyncInferenceConfig",
)  # of a configuration, by an update


def creation(placed: Placed) -> Call:
    """CreateEndpoint."""
    request = {"EndpointName": placed.wanted.name, "EndpointConfigName": placed.made, "Tags": placed.tags}
    return Call("sagemaker", "CreateEndpoint", request)


def update(placed: Placed, mode: str, *, scaled: bool) -> Call:
    """UpdateEndpoint: new instances beside the old ones, and traffic moves when they are healthy.

    scaled: auto scaling has chosen how many there are, and that stays.
    """
    wanted = placed.wanted
    request: dict[str, Any] = {"EndpointName": wanted.name, "EndpointConfigName": placed.made}
    if scaled and wanted.count is None:
        request["RetainAllVariantProperties"] = True
    if mode != "serverless":
        kind, percent, seconds = read_shift(wanted.shift)
        routing: dict[str, Any] = {"Type": kind, "WaitIntervalInSeconds": seconds}
        if step := {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}.get(kind):
            routing[step] = {"Type": "CAPACITY_PERCENT", "Value": percent}
        policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": wanted.bake}
        request["DeploymentConfig"] = {"BlueGreenUpdatePolicy": policy}
    return Call("sagemaker", "UpdateEndpoint", request)


def mode_of(configuration: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """Which kind an endpoint is; configuration, model: as they are described."""
    (variant, *_) = configuration["ProductionVariants"]
    if variant.get("ServerlessConfig"):
        return "serverless"
    if configuration.get("AsyncInferenceConfig"):
        return "async"
    return "multi-model" if model.get("PrimaryContainer", {}).get("Mode") == "MultiModel" else "real-time"


def _capture(placed: Placed, percent: int) -> dict[str, Any]:
    return {
        "EnableCapture": percent > 0,
        "InitialSamplingPercentage": percent,
        "DestinationS3Uri": f"{placed.store.uri}/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": [JSON]},  # as text; what is not named here comes as base64
    }


def _check_memory(memory: int) -> None:
    """The service takes these alone, its model says a range."""
    if memory not in range(1024, 6145, 1024):
        raise InputError(f"--memory={memory}: expected 1024, 2048, 3072, 4096, 5120 or 6144 MB")
