"""What an endpoint has in S3: archives, what it captured, questions and answers; all below one prefix."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from okkhor.aws.calling import client, is_missing
from okkhor.errors import InputError
from okkhor.serving.bundle import sha256_of
from okkhor.serving.sagemaker.wanted import Store

if TYPE_CHECKING:
    import boto3

AT_ONCE = 1000  # objects that one request deletes
ARCHIVES, MODELS = "archives", "models"  # of one model, a folder for each deployment; of several, a file each


def upload(session: boto3.Session, store: Store, key: str, archive: Path) -> str:
    """Send an archive; gives its s3:// address."""
    client(session, "s3").upload_file(str(archive), store.bucket, f"{store.prefix}/{key}")
    return f"{store.uri}/{key}"


def add_model(session: boto3.Session, store: Store, name: str, archive: Path) -> bool:
    """Send one of several models; whether it was not there yet.

    Raises InputError where another is there by this name: containers that have loaded it would keep the old one.
    """
    s3, key, digest = client(session, "s3"), f"{store.prefix}/{MODELS}/{name}.tar.gz", sha256_of(archive)
    try:
        found = s3.head_object(Bucket=store.bucket, Key=key)["Metadata"].get("sha256")
    except s3.exceptions.ClientError as error:
        if not is_missing(error):
            raise
    else:
        if found == digest:
            return False
        raise InputError(
            f"{name}: the endpoint has another model by this name, and keeps it loaded; choose a new NAME=RUN"
        )
    s3.upload_file(str(archive), store.bucket, key, ExtraArgs={"Metadata": {"sha256": digest}})
    return True


def remove(session: boto3.Session, store: Store, folder: str = "") -> int:
    """Delete all objects below a folder of the store, in all their versions; gives how many."""
    s3, gone = client(session, "s3"), 0
    below = f"{store.prefix}/{folder.strip('/')}/" if folder else f"{store.prefix}/"
    for some in _by_thousand(_versions(s3, store.bucket, below)):
        refused = s3.delete_objects(Bucket=store.bucket, Delete={"Objects": some, "Quiet": True}).get("Errors", [])
        if refused:
            raise InputError(f"s3://{store.bucket}/{refused[0].get('Key')}: not deleted: {refused[0].get('Message')}")
        gone += len(some)
    return gone


def folders(session: boto3.Session, store: Store, folder: str) -> list[str]:
    """Names of the folders in a folder of the store."""
    pages = client(session, "s3").get_paginator("list_objects_v2")
    below = f"{store.prefix}/{folder}/"
    found = pages.paginate(Bucket=store.bucket, Prefix=below, Delimiter="/")
    return [one["Prefix"][len(below) :].strip("/") for page in found for one in page.get("CommonPrefixes", [])]


def _versions(s3: object, bucket: str, prefix: str) -> Iterator[dict[str, str]]:
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for one in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
            yield {"Key": one["Key"], "VersionId": one["VersionId"]}


def _by_thousand(objects: Iterator[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    some: list[dict[str, str]] = []
    for one in objects:
        some.append(one)
        if len(some) == AT_ONCE:
            yield some
            some = []
    if some:
        yield some
