"""A packed store in S3, where training jobs get it as a channel: `scripts/prepare.py upload`.

Below one prefix lie the store's files and its folds, and store.json, sent last: a prefix that has it is complete. Each
object carries its CRC-32 as S3's own checksum of the whole; S3 compares it with what arrived, and it has to be what
store.json says. A file goes in parts, and what was broken off goes on with the parts that S3 has. See
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from okkhor.aws.calling import client, code_of, is_missing, one_line, open_session
from okkhor.data.folds import folds_of
from okkhor.data.layout import DESCRIPTION, Store
from okkhor.errors import InputError, StoppedError

FOLDS = "train_folds*.csv"
PART_BYTES = 16 << 20  # of a part: what is lost at most, in each thread, when the upload is broken off
MOST_PARTS = 10_000  # that S3 takes of one object
AT_ONCE = 8  # parts
CRC = "crc32"  # in an object's metadata, for places that keep no checksums of their own

Sent = Callable[[int], object]


@dataclass(frozen=True)
class Uploaded:
    """Where a store lies now. files: in all; sent, kept: bytes that went there, and that were there already."""

    uri: str
    files: int
    sent: int
    kept: int


@dataclass(frozen=True)
class Place:
    """A folder of S3. s3: boto3's client."""

    s3: Any
    bucket: str
    prefix: str

    def object(self, name: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": f"{self.prefix}/{name}"}

    def uri(self, name: str = "") -> str:
        return f"s3://{self.bucket}/{self.prefix}{f'/{name}' if name else ''}"


def upload_store(
    store: Store, to: str, *, part_bytes: int = PART_BYTES, at_once: int = AT_ONCE, progress: bool = True
) -> Uploaded:
    """Send a store with its folds to `s3://bucket/folder`; what is there already stays.

    part_bytes: at least 5 MiB, which S3 wants. Labels get their usual folds first. Raises InputError for a damaged
    store, a folder that has another one, and for all that AWS refuses; StoppedError at Ctrl-C. Repeating it goes on.
    """
    found = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/+(\S*[^\s/])/*", to)
    if not found:
        raise InputError(f"--to={to}: expected s3://bucket/folder")
    console = Console(stderr=True, quiet=not progress)
    if store.labels is not None:
        folds_of(store)
    with console.status(f"Comparing {store.path} with its checksums"):
        store.verify()
        files = {name: told["crc32"] for name, told in store.description["files"].items()}
        for path in (*sorted(store.path.glob(FOLDS)), store.path / DESCRIPTION):
            files[path.name] = zlib.crc32(path.read_bytes())  # the last is the description
    place = Place(client(open_session(), "s3", max_pool_connections=at_once), *found.groups())
    sizes = {name: (store.path / name).stat().st_size for name in files}
    with one_line(f"--to={to}"), _bar(console) as bar:
        _check_place(place, store)
        task, kept = bar.add_task("Uploading", total=sum(sizes.values())), 0
        for name, crc in files.items():
            if _is_there(place, name, sizes[name], crc):
                kept += sizes[name]
                bar.advance(task, sizes[name])
                continue
            kept += _send(place, store.path / name, crc, part_bytes, at_once, lambda n: bar.advance(task, n))
            if not _is_there(place, name, sizes[name], crc):
                raise InputError(f"{place.uri(name)}: is not what was sent; repeat the command")
    return Uploaded(place.uri(), len(files), sum(sizes.values()) - kept, kept)


def _check_place(place: Place, store: Store) -> None:
    """Raise InputError where another store lies: files of two would meet."""
    try:
        there = json.loads(place.s3.get_object(**place.object(DESCRIPTION))["Body"].read())
    except ValueError:
        there = {}
    except place.s3.exceptions.ClientError as error:
        if code_of(error) != "NoSuchBucket" and is_missing(error):
            return
        raise
    if there != store.description:
        raise InputError(
            f"{place.uri()}: has another store; choose another folder, or remove it: "
            f"aws s3 rm --recursive {place.uri()}"
        )


def _is_there(place: Place, name: str, size: int, crc: int) -> bool:
    """Whether S3 has a file of this length and checksum."""
    try:
        head = place.s3.head_object(**place.object(name), ChecksumMode="ENABLED")
    except place.s3.exceptions.ClientError as error:
        if is_missing(error):
            return False
        raise
    whole = head.get("ChecksumType") == "FULL_OBJECT"
    said = head.get("ChecksumCRC32") if whole else head["Metadata"].get(CRC)
    return head["ContentLength"] == size and said == _base64(crc)


def _send(place: Place, path: Path, crc: int, part_bytes: int, at_once: int, sent: Sent) -> int:
    """Send a file in parts; returns the bytes of those that S3 had. sent: told the bytes of each part."""
    size = path.stat().st_size
    part_bytes = max(part_bytes, -(-size // MOST_PARTS))
    target = place.object(path.name)
    upload = _unfinished(place, target) or place.s3.create_multipart_upload(
        **target, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT", Metadata={CRC: _base64(crc)}
    )
    target["UploadId"] = upload["UploadId"]
    there = {
        part["PartNumber"]: part
        for page in place.s3.get_paginator("list_parts").paginate(**target)
        for part in page.get("Parts", ())
    }

    def one(number: int) -> tuple[int, dict[str, Any], int]:
        with path.open("rb") as file:
            file.seek((number - 1) * part_bytes)
            content = file.read(part_bytes)
        checksum = _base64(zlib.crc32(content))
        kept = _equals(there.get(number), content, checksum)
        tag = there[number]["ETag"] if kept else _send_part(place, target, number, content, checksum)
        sent(len(content))
        part = {"PartNumber": number, "ETag": tag, "ChecksumCRC32": checksum}
        return number, part, len(content) if kept else 0

    pool = ThreadPoolExecutor(at_once)
    try:
        waiting = [pool.submit(one, number) for number in range(1, -(-size // part_bytes) + 1)]
        parts = sorted((done.result() for done in as_completed(waiting)), key=lambda part: part[0])
    except KeyboardInterrupt:
        raise StoppedError("stopped; what has arrived is kept, repeat the command to go on") from None
    finally:
        pool.shutdown(cancel_futures=True)
    complete = {"Parts": [part for _, part, _ in parts]}
    place.s3.complete_multipart_upload(
        **target, MultipartUpload=complete, ChecksumType="FULL_OBJECT", ChecksumCRC32=_base64(crc)
    )
    return sum(kept for _, _, kept in parts)


def _send_part(place: Place, target: dict[str, Any], number: int, content: bytes, checksum: str) -> str:
    return place.s3.upload_part(**target, PartNumber=number, Body=content, ChecksumCRC32=checksum)["ETag"]


def _unfinished(place: Place, target: dict[str, str]) -> dict[str, Any] | None:
    """The newest upload of this object that was broken off."""
    pages = place.s3.get_paginator("list_multipart_uploads").paginate(Bucket=place.bucket, Prefix=target["Key"])
    found = [
        upload
        for page in pages
        for upload in page.get("Uploads", ())
        if upload["Key"] == target["Key"] and upload.get("ChecksumType") == "FULL_OBJECT"
    ]
    return max(found, key=lambda upload: upload["Initiated"], default=None)


def _equals(part: dict[str, Any] | None, content: bytes, checksum: str) -> bool:
    """Whether a part that S3 has is this content; of one without a checksum the tag tells, where it is an MD5."""
    if part is None or part["Size"] != len(content):
        return False
    if "ChecksumCRC32" in part:
        return part["ChecksumCRC32"] == checksum
    return part["ETag"].strip('"') == hashlib.md5(content, usedforsecurity=False).hexdigest()


def _base64(crc: int) -> str:
    """A CRC-32 as S3 writes it."""
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


def _bar(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    return Progress(*columns, console=console, disable=console.quiet)
