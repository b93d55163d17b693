"""What there is of an endpoint: as it stands, what it said, and what earlier deployments have left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from okkhor.aws.calling import client, is_missing
from okkhor.errors import InputError
from okkhor.serving.sagemaker.requests import TAG, TAG_STORE, WORKERS, mode_of
from okkhor.serving.sagemaker.wanted import Store, Wanted

if TYPE_CHECKING:
    import boto3


@dataclass(frozen=True)
class Existing:
    """An endpoint as it is described. reason: why it failed; store: where its files lie."""

    name: str
    status: str
    reason: str
    mode: str
    configuration: dict[str, Any]
    model: dict[str, Any]
    store: Store

    @property
    def instance_type(self) -> str | None:
        """None without instances: serverless."""
        return self.configuration["ProductionVariants"][0].get("InstanceType")

    @property
    def container(self) -> dict[str, Any]:
        """Image, environment, address of the archive."""
        return self.model.get("PrimaryContainer", {})


def find(session: boto3.Session, name: str) -> Existing | None:
    """The endpoint of this name, None where there is none; raises InputError for one that this project has not made."""
    sagemaker = client(session, "sagemaker")
    try:
        found = sagemaker.describe_endpoint(EndpointName=name)
    except sagemaker.exceptions.ClientError as error:
        if is_missing(error):
            return None
        raise
    tags = _tags(sagemaker, found["EndpointArn"])
    if tags.get(TAG) != name or TAG_STORE not in tags:
        raise InputError(f"{name}: this endpoint was not made by scripts/deploy.py; choose another --name")
    configuration, model = {"ProductionVariants": [{}]}, {}
    try:
        configuration = sagemaker.describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
        model = sagemaker.describe_model(ModelName=configuration["ProductionVariants"][0]["ModelName"])
    except sagemaker.exceptions.ClientError as error:
        if not is_missing(error):  # of one that somebody has half deleted
            raise
    return Existing(
        name, found["EndpointStatus"], found.get("FailureReason", ""), mode_of(configuration, model), configuration,
        model, Store.at(tags[TAG_STORE]),
    )  # fmt: skip


def carried(wanted: Wanted, there: Existing) -> Wanted:
    """With what the endpoint's model has now, where nothing else is wanted."""
    network, workers = there.model.get("VpcConfig", {}), there.container.get("Environment", {}).get(WORKERS)
    return replace(
        wanted,
        subnets=wanted.subnets or tuple(network.get("Subnets", ())),
        security_groups=wanted.security_groups or tuple(network.get("SecurityGroupIds", ())),
        isolated=wanted.isolated or bool(there.model.get("EnableNetworkIsolation")),
        workers=wanted.workers or (int(workers) if workers else None),
    )


def last_words(session: boto3.Session, name: str) -> str:
    """The last lines that an endpoint's containers have logged; empty where there are none."""
    logs, group = client(session, "logs"), log_group(name)
    with suppress(logs.exceptions.ClientError):
        streams = logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True, limit=1)
        for stream in streams["logStreams"]:
            events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], limit=3)
            return " / ".join(one["message"].strip() for one in events["events"])[:500]
    return ""


def log_group(name: str) -> str:
    return f"/aws/sagemaker/Endpoints/{name}"


def configurations(session: boto3.Session, name: str) -> Iterator[tuple[str, Store]]:
    """The configurations that were made for an endpoint, and where their files lie."""
    yield from _made(session, name, "list_endpoint_configs", "EndpointConfigs", "EndpointConfig")


def models(session: boto3.Session, name: str) -> Iterator[tuple[str, Store]]:
    """The models that were made for an endpoint, and where their files lie."""
    yield from _made(session, name, "list_models", "Models", "Model")


def _made(session: boto3.Session, name: str, operation: str, key: str, kind: str) -> Iterator[tuple[str, Store]]:
    sagemaker = client(session, "sagemaker")
    for page in sagemaker.get_paginator(operation).paginate(NameContains=f"{name}-"):
        for one in page[key]:
            tags = _tags(sagemaker, one[f"{kind}Arn"]) if one[f"{kind}Name"].startswith(f"{name}-") else {}
            if tags.get(TAG) == name:
                yield one[f"{kind}Name"], Store.at(tags.get(TAG_STORE, ""))


def _tags(sagemaker: Any, arn: str) -> dict[str, str]:
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    return {one["Key"]: one["Value"] for page in pages for one in page["Tags"]}
