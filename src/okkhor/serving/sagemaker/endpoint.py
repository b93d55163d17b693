"""Making an endpoint, updating it while it answers, and taking it down, with the resources of SageMaker's SDK v3.

What fails is undone: a model, a configuration or an archive that no endpoint uses is not left behind.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from okkhor.aws.calling import client, is_missing
from okkhor.errors import InputError, JobFailedError, StoppedError
from okkhor.serving.sagemaker import existing, requests, resources, scaling, storing
from okkhor.serving.sagemaker.existing import Existing
from okkhor.serving.sagemaker.requests import Call, Placed
from okkhor.serving.sagemaker.wanted import Store, Wanted

if TYPE_CHECKING:
    import boto3

Say = Callable[[str], None]
FIRST_POLL, LAST_POLL = 1.0, 15.0  # seconds between two looks: soon where it fails at once, seldom later


def stamp() -> str:
    """What tells a deployment from all others of its endpoint: 17 characters."""
    return f"{datetime.now(UTC):%y%m%d%H%M%S}-{secrets.token_hex(2)}"


def archive_of(store: Store, stamp: str, mode: str) -> str:
    """Where a deployment's archive lies, or the folder of several."""
    below = f"{storing.MODELS}/" if mode == "multi-model" else f"{storing.ARCHIVES}/{stamp}/model.tar.gz"
    return f"{store.uri}/{below}"


def planned(placed: Placed, mode: str) -> list[Call]:
    """All requests of a new endpoint, checked against the service's model; nothing is sent."""
    calls = [requests.model(placed, mode), requests.configuration(placed, mode), requests.creation(placed)]
    if placed.wanted.scaling:
        calls += scaling.scaling(placed.wanted.name, placed.wanted.scaling, mode)
    return [call.check() for call in calls]


def deploy(
    session: boto3.Session, placed: Placed, mode: str, there: Existing | None, archives: Mapping[str, Path], say: Say
) -> None:
    """Create an endpoint, or update the one that is there.

    archives: of model.tar.gz, by name where there are several. Raises InputError for what the service's model refuses,
    JobFailedError when the endpoint does not come up; the old one of an update then answers as before.
    """
    wanted, store = placed.wanted, placed.store
    if there is None:
        planned(placed, mode)
    if mode == "multi-model":
        for name, archive in archives.items():
            new = storing.add_model(session, store, name, archive)
            say(f"{store.uri}/{storing.MODELS}/{name}.tar.gz{'' if new else ' is there already'}")
        if there and _is_as_it_was(placed, there):
            return  # nothing but models was named, and containers load them when they are asked for
    else:
        (archive,) = archives.values()
        say(storing.upload(session, store, f"{storing.ARCHIVES}/{placed.stamp}/model.tar.gz", archive))
    with ExitStack() as undo:
        if mode != "multi-model":
            undo.callback(storing.remove, session, store, f"{storing.ARCHIVES}/{placed.stamp}")
        elif there is None:
            undo.callback(storing.remove, session, store)
        if there:
            _update(undo, session, placed, mode, there, say)
        else:
            _create(undo, session, placed, mode, say)
        undo.pop_all()
    if there:
        _remove_unused(session, wanted.name, keep=placed)


def check_there(there: Existing, mode: str) -> None:
    """Raise InputError unless an endpoint can be updated, and to this mode."""
    if there.status != "InService":
        also = f": {there.reason}" if there.reason else ""
        raise InputError(f"{there.name}: is {there.status}{also}; expected InService; wait, or --delete it first")
    if there.mode != mode:
        said = f"{there.name} is {there.mode}, which AWS does not turn into another; --delete it first"
        raise InputError(f"--mode={mode}: {said}")


def _create(undo: ExitStack, session: boto3.Session, placed: Placed, mode: str, say: Say) -> None:
    name, wanted = placed.wanted.name, placed.wanted
    _make(undo, session, placed, requests.model(placed, mode), requests.configuration(placed, mode))
    endpoint = resources.create(session, "Endpoint", requests.creation(placed))
    undo.callback(_delete_endpoint, endpoint)
    say(f"creating {name} ({mode}); this takes minutes")
    _wait(session, endpoint, say, undo, f"scripts/deploy.py --target sagemaker --name {name} --delete removes it")
    if wanted.scaling:
        undo.callback(scaling.remove, session, name)
        scaling.apply(session, name, wanted.scaling, mode)


def _update(undo: ExitStack, session: boto3.Session, placed: Placed, mode: str, there: Existing, say: Say) -> None:
    name, wanted = placed.wanted.name, placed.wanted
    scaled = mode != "serverless" and scaling.is_scaled(session, name)
    if scaled and not wanted.scaling and _changes_instance(there, wanted):
        said = f"{name} scales by what its {there.instance_type} can do; name --scale and --load for the new type, too"
        raise InputError(f"--instance-type={wanted.instance_type}: {said}")
    made = requests.model(placed, mode), requests.configuration(placed, mode, there.configuration)
    call = requests.update(placed, mode, scaled=scaled and not wanted.scaling)
    for one in (*made, call, *(scaling.scaling(name, wanted.scaling, mode) if wanted.scaling else ())):
        one.check()
    _make(undo, session, placed, *made)
    if scaled and wanted.scaling:
        scaling.remove(session, name)  # an update that changes the type is refused while it is on
    endpoint = resources.update(session, call)
    say(f"updating {name}; what is there answers until the new one is healthy")
    _wait(session, endpoint, say, undo, "the update goes on without this command")
    if endpoint.endpoint_config_name != placed.made:
        said = existing.find(session, name)
        reason = said.reason if said else "no reason given"
        raise JobFailedError(f"{name}: the update was rolled back, the old one answers: {reason}")
    if wanted.scaling:
        scaling.apply(session, name, wanted.scaling, mode)


def delete(session: boto3.Session, name: str, say: Say) -> None:
    """Remove an endpoint and all that was made for it: scaling, configurations, models, files, logs.

    Raises InputError where there is nothing of this name. Repeating it after an interruption removes the rest.
    """
    there = existing.find(session, name)
    stores = {there.store} if there else set()
    gone = scaling.remove(session, name)
    if there:
        endpoint = resources.get(session, "Endpoint", name)
        if there.status != "Deleting":
            endpoint.delete()
        _wait_gone(endpoint)
        gone.append(f"endpoint {name}")
    for kind, found in (("EndpointConfig", existing.configurations), ("Model", existing.models)):
        for made, store in list(found(session, name)):
            _delete_one(session, kind, made)
            stores |= {store} if store.bucket else set()
            gone.append(f"{'configuration' if kind == 'EndpointConfig' else 'model'} {made}")
    for store in stores:
        if count := storing.remove(session, store):
            gone.append(f"{count} object{'s' if count > 1 else ''} below {store.uri}")
    logs = client(session, "logs")
    try:
        logs.delete_log_group(logGroupName=existing.log_group(name))
        gone.append(f"logs {existing.log_group(name)}")
    except logs.exceptions.ClientError as error:
        if not is_missing(error):
            raise
    if not gone:
        raise InputError(f"--name={name}: no such endpoint in {session.region_name}, and nothing left of one")
    for one in gone:
        say(f"deleted {one}")


def _is_as_it_was(placed: Placed, there: Existing) -> bool:
    wanted = placed.wanted
    same = Wanted(wanted.name, mode=wanted.mode, shift=wanted.shift, bake=wanted.bake)
    container = placed.image == there.container.get("Image") and placed.role == there.model.get("ExecutionRoleArn")
    return container and wanted == existing.carried(same, there)


def _changes_instance(there: Existing, wanted: Wanted) -> bool:
    return wanted.instance_type not in (None, there.instance_type)


def _make(undo: ExitStack, session: boto3.Session, placed: Placed, model: Call, configuration: Call) -> None:
    for kind, call in (("Model", model), ("EndpointConfig", configuration)):
        resources.create(session, kind, call)
        undo.callback(_delete_one, session, kind, placed.made)


def _wait(session: boto3.Session, endpoint: Any, say: Say, undo: ExitStack, stopped: str) -> None:
    """Until it is in service; raises JobFailedError with the reason and what its containers said last."""
    poll, status = FIRST_POLL, ""
    try:
        while (now := endpoint.refresh().endpoint_status) not in ("InService", "Failed", "UpdateRollbackFailed"):
            if now != status:
                say(f"{endpoint.endpoint_name}: {now}")
                status = now
            time.sleep(poll)
            poll = min(poll * 1.3, LAST_POLL)
    except KeyboardInterrupt:
        undo.pop_all()
        raise StoppedError(f"{endpoint.endpoint_name}: stopped waiting; {stopped}") from None
    if now != "InService":
        said = existing.last_words(session, endpoint.endpoint_name)
        reason = endpoint.failure_reason if isinstance(endpoint.failure_reason, str) else "no reason given"
        raise JobFailedError(f"{endpoint.endpoint_name}: {now}: {reason}{f'; it said last: {said}' if said else ''}")


def _wait_gone(endpoint: Any) -> None:
    from botocore.exceptions import ClientError

    poll = FIRST_POLL
    while True:
        try:
            endpoint.refresh()
        except ClientError as error:
            if is_missing(error):
                return
            raise
        time.sleep(poll)
        poll = min(poll * 1.3, LAST_POLL)


def _delete_endpoint(endpoint: Any) -> None:
    endpoint.delete()
    _wait_gone(endpoint)


def _delete_one(session: boto3.Session, kind: str, name: str) -> None:
    resources.get(session, kind, name).delete()


def _remove_unused(session: boto3.Session, name: str, keep: Placed) -> None:
    """What earlier deployments of an endpoint have left."""
    for kind, found in (("EndpointConfig", existing.configurations), ("Model", existing.models)):
        for made, _ in list(found(session, name)):
            if made != keep.made:
                _delete_one(session, kind, made)
    for folder in storing.folders(session, keep.store, storing.ARCHIVES):
        if folder != keep.stamp:
            storing.remove(session, keep.store, f"{storing.ARCHIVES}/{folder}")
