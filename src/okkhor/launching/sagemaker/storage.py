"""Files between a run directory and S3: what a job begins with goes there, what it wrote comes back, each whole."""

import shutil
import tarfile
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from okkhor.atomic import replacing
from okkhor.aws.calling import split_uri
from okkhor.errors import InputError

AT_ONCE = 8  # transfers


@dataclass(frozen=True)
class Stored:
    """An object below a folder of S3. name: its path there; tag: changes with its content."""

    key: str
    name: str
    size: int
    tag: str


class Storage:
    """The objects of an account's S3. client: boto3's; key: a KMS key that what is sent is encrypted with."""

    def __init__(self, client: Any, key: str | None = None) -> None:
        self.client = client
        self.extra = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}

    def has(self, uri: str) -> bool:
        """Whether there is an object of this name."""
        bucket, key = split_uri(uri)
        listed = self.client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
        return any(entry["Key"] == key for entry in listed.get("Contents", []))

    def put(self, content: bytes, uri: str) -> None:
        bucket, key = split_uri(uri)
        self.client.put_object(Bucket=bucket, Key=key, Body=content, **self.extra)

    def send(self, files: Iterable[tuple[Path, str]]) -> None:
        """Send files, each to its URI."""

        def one(pair: tuple[Path, str]) -> None:
            bucket, key = split_uri(pair[1])
            self.client.upload_file(str(pair[0]), bucket, key, ExtraArgs=self.extra or None)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, files))

    def listed(self, folder: str) -> list[Stored]:
        """All objects below a folder."""
        bucket, prefix = split_uri(folder.rstrip("/") + "/")
        found = []
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                name = entry["Key"][len(prefix) :]
                if name and not name.endswith("/"):
                    found.append(Stored(entry["Key"], name, entry["Size"], entry["ETag"]))
        return found

    def fetch(self, folder: str, stored: Iterable[Stored], to: Path) -> None:
        """Bring objects of a folder into one of this machine; each file is there whole or as it was."""
        bucket, _ = split_uri(folder)

        def one(entry: Stored) -> None:
            path = inside(to, entry.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                self.client.download_file(bucket, entry.key, str(temporary))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, stored))

    def unpack(self, uri: str, to: Path, *, keep: Iterable[str] = ()) -> bool:
        """Unpack a .tar.gz into a folder of this machine; whether there is one. keep: files that stay as they are."""
        if not self.has(uri):
            return False
        bucket, key = split_uri(uri)
        kept = set(keep)
        with tempfile.TemporaryDirectory(prefix="okkhor-job-") as scratch:
            archive, files = Path(scratch) / "archive.tar.gz", Path(scratch) / "files"
            self.client.download_file(bucket, key, str(archive))
            with tarfile.open(archive) as tar:
                tar.extractall(files, filter="data")
            for path in sorted(p for p in files.rglob("*") if p.is_file()):
                name = path.relative_to(files)
                if name.as_posix() in kept:
                    continue
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                with replacing(to / name) as temporary:
                    shutil.copyfile(path, temporary)
        return True


def inside(folder: Path, name: str) -> Path:
    """A path below a folder; raises InputError for a name that leads out of it."""
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise InputError(f"{name}: an object's name that leads out of {folder}; nobody but a job should write there")
    return folder / name
