"""What an endpoint has in S3: archives, what it captured, questions and answers; all below one prefix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    """Delete all objects below a folder of the store, and their versions where a bucket keeps them; gives how many."""
    s3 = client(session, "s3")
    below = f"{store.prefix}/{folder.strip('/')}/" if folder else f"{store.prefix}/"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=store.bucket, Prefix=below)
    objects = [{"Key": one["Key"]} for page in pages for one in page.get("Contents", [])]
    if _delete(s3, store.bucket, objects):  # only then is a permission needed that other buckets' users may not have
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=store.bucket, Prefix=below)
        every = [one for page in pages for one in (*page.get("Versions", []), *page.get("DeleteMarkers", []))]
        _delete(s3, store.bucket, [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in every])
    return len(objects)


def _delete(s3: Any, bucket: str, objects: list[dict[str, str]]) -> bool:
    """Delete these; whether the bucket only marks them as deleted. Raises InputError for what may not be deleted."""
    marked = False
    for start in range(0, len(objects), AT_ONCE):
        some = objects[start : start + AT_ONCE]
        done = s3.delete_objects(Bucket=bucket, Delete={"Objects": some})
        for refused in done.get("Errors", []):
            raise InputError(f"s3://{bucket}/{refused.get('Key')}: not deleted: {refused.get('Message')}")
        marked = marked or any(one.get("DeleteMarker") and "VersionId" not in one for one in done.get("Deleted", []))
    return marked


def folders(session: boto3.Session, store: Store, folder: str) -> list[str]:
    """Names of the folders in a folder of the store."""
    pages = client(session, "s3").get_paginator("list_objects_v2")
    below = f"{store.prefix}/{folder}/"
    found = pages.paginate(Bucket=store.bucket, Prefix=below, Delimiter="/")
    return [one["Prefix"][len(below) :].strip("/") for page in found for one in page.get("CommonPrefixes", [])]
