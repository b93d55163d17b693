"""SageMaker's SDK v3 as it is used here: its resources, with exactly the requests that were checked.

The SDK's own writing of a request (sagemaker-core 2.27) leaves out members that are 0 or false and spells
`MemorySizeInMB` wrong, so that a serverless endpoint, or an update at once, is refused. Defaults that a person keeps in
a file for the SDK would change requests unseen. So the client that a resource uses is handed the request as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from okkhor.errors import InputError
from okkhor.serving.sagemaker.requests import Call

if TYPE_CHECKING:
    import boto3

NAMES = {"Model": "model_name", "EndpointConfig": "endpoint_config_name", "Endpoint": "endpoint_name"}


def create(session: boto3.Session, kind: str, call: Call) -> Any:
    """A new resource: Model, EndpointConfig or Endpoint."""
    with _exactly(session, call):
        return _resource(kind).create(**_arguments(call), session=session)


def get(session: boto3.Session, kind: str, name: str) -> Any:
    """A resource that is there."""
    return _resource(kind).get(**{NAMES[kind]: name}, session=session)


def update(session: boto3.Session, call: Call) -> Any:
    """The endpoint that an UpdateEndpoint names."""
    endpoint = get(session, "Endpoint", call.request["EndpointName"])
    with _exactly(session, call):
        return endpoint.update()


@contextmanager
def _exactly(session: boto3.Session, call: Call) -> Iterator[None]:
    from sagemaker.core.resources import Base

    client = Base.get_sagemaker_client(session=session, region_name=None, service_name=call.service)
    event = f"provide-client-params.{call.service}.{call.operation}"

    def given(**_: Any) -> dict[str, Any]:
        return call.request

    client.meta.events.register(event, given)
    try:
        yield
    finally:
        client.meta.events.unregister(event, given)


def _resource(kind: str) -> Any:
    """A class of the SDK; importing it takes seconds."""
    try:
        from sagemaker.core import resources
    except ImportError as error:
        raise InputError(f"SageMaker's SDK cannot be imported ({error}); pip install -e '.[sagemaker]'") from error
    return getattr(resources, kind)


def _arguments(call: Call) -> dict[str, Any]:
    """A request as the SDK's resources take it."""
    from sagemaker.core.utils.code_injection.codec import transform

    return transform(call.request, f"{call.operation}Input")
