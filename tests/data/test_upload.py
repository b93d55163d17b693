"""A packed store goes to S3 whole, once, and goes on where it was broken off."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from okkhor.data import upload
from okkhor.data.folds import folds_of
from okkhor.data.layout import DESCRIPTION, IMAGES, Store
from okkhor.data.upload import upload_store
from okkhor.errors import InputError, StoppedError

ROOT = Path(__file__).resolve().parents[2]
TO = "s3://letters/graphemes"
MIB = 1 << 20
QUIET = {"part_bytes": 5 * MIB, "progress": False}  # 420 images: three parts


@pytest.fixture
def s3(monkeypatch):
    """A bucket in this process."""
    import boto3
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="letters")
        yield client


@pytest.fixture
def calls(monkeypatch):
    """What is asked of S3, counted; calls.on(operation, what to do before it), with its event's words."""
    made = upload.client

    class Calls(Counter):
        def __init__(self):
            super().__init__()
            self.handlers = {}

        def on(self, event, handler):
            self.handlers[event] = handler

    counted = Calls()

    def listening(*args, **options):
        client = made(*args, **options)
        client.meta.events.register(
            "before-call.s3", lambda model, **_: counted.update([model.name]), unique_id="counted"
        )
        for event, handler in counted.handlers.items():
            client.meta.events.register(event, handler)
        return client

    monkeypatch.setattr(upload, "client", listening)
    return counted


def fetched(s3, folder: Path, prefix: str = "graphemes") -> Path:
    """What SageMaker puts into a channel."""
    folder.mkdir()
    for entry in s3.list_objects_v2(Bucket="letters", Prefix=f"{prefix}/")["Contents"]:
        s3.download_file("letters", entry["Key"], str(folder / entry["Key"].removeprefix(f"{prefix}/")))
    return folder


def test_what_arrives_is_the_store_with_its_folds(packed, s3, calls, tmp_path):
    store = Store.open(packed())
    done = upload_store(store, TO + "/", **QUIET)
    assert done.uri == TO
    arrived = Store.open(fetched(s3, tmp_path / "channel"))
    arrived.verify()
    assert np.array_equal(arrived.images, store.images)
    assert (arrived.path / "train_folds.csv").read_bytes() == (store.path / "train_folds.csv").read_bytes()
    assert np.array_equal(folds_of(arrived), folds_of(store))
    files = list(arrived.path.iterdir())
    assert (done.files, done.sent, done.kept) == (len(files), sum(file.stat().st_size for file in files), 0)
    assert calls["UploadPart"] == 3 + 3  # two parts and a bit of images; index, folds, description


def test_nothing_is_sent_twice(packed, s3, calls):
    store = Store.open(packed())
    first = upload_store(store, TO, **QUIET)
    calls.clear()
    again = upload_store(store, TO, **QUIET)
    assert (again.sent, again.kept) == (0, first.sent)
    assert set(calls) == {"GetObject", "HeadObject"}


def test_a_file_that_is_lost_or_another_is_sent_again(packed, s3, calls, tmp_path):
    store = Store.open(packed())
    upload_store(store, TO, **QUIET)
    s3.delete_object(Bucket="letters", Key="graphemes/index.parquet")
    s3.put_object(Bucket="letters", Key=f"graphemes/{IMAGES}", Body=bytes((store.path / IMAGES).stat().st_size))
    calls.clear()
    upload_store(store, TO, **QUIET)
    assert calls["UploadPart"] == 3 + 1
    Store.open(fetched(s3, tmp_path / "channel")).verify()


def test_it_goes_on_with_the_parts_that_have_arrived(packed, s3, calls, tmp_path):
    store = Store.open(packed())

    parts = iter(range(2))

    def interrupted(**_):
        if next(parts, None) is None:
            raise KeyboardInterrupt

    calls.on("before-call.s3.UploadPart", interrupted)
    with pytest.raises(StoppedError, match="repeat the command to go on"):
        upload_store(store, TO, at_once=1, **QUIET)
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="letters").get("Contents", [])]
    assert keys == []  # no half file, and nothing that could be taken for a store
    calls.handlers.clear()
    calls.clear()
    done = upload_store(store, TO, **QUIET)
    assert calls["UploadPart"] == 1 + 3
    assert done.kept == 10 * MIB
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="letters")
    Store.open(fetched(s3, tmp_path / "channel")).verify()


def test_a_part_of_another_content_is_not_kept(packed, s3, calls, tmp_path):
    store = Store.open(packed())
    target = {"Bucket": "letters", "Key": f"graphemes/{IMAGES}"}
    begun = s3.create_multipart_upload(**target, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")["UploadId"]
    s3.upload_part(**target, UploadId=begun, PartNumber=1, Body=bytes(5 * MIB))
    done = upload_store(store, TO, **QUIET)
    assert done.kept == 0
    assert calls["CreateMultipartUpload"] == 3  # of the other files
    Store.open(fetched(s3, tmp_path / "channel")).verify()


def test_what_changes_on_the_way_is_found(packed, s3, calls):
    def changed(request, **_):
        content = request.body.read()
        request.body = bytes([content[0] ^ 1]) + content[1:]

    calls.on("before-send.s3.UploadPart", changed)
    with pytest.raises(InputError, match=r"s3://letters/graphemes/images\.npy: is not what was sent"):
        upload_store(Store.open(packed()), TO, **QUIET)
    assert calls["PutObject"] == 0
    assert DESCRIPTION not in str(s3.list_objects_v2(Bucket="letters"))


def test_a_damaged_store_is_refused_before_anything_is_sent(packed, s3, calls):
    folder = packed()
    content = bytearray((folder / IMAGES).read_bytes())
    content[-1] ^= 1
    (folder / IMAGES).write_bytes(content)
    with pytest.raises(InputError, match=r"images\.npy: changed since it was built"):
        upload_store(Store.open(folder), TO, **QUIET)
    assert not calls


def test_two_stores_do_not_meet_in_one_folder(packed, s3, calls):
    upload_store(Store.open(packed(count=30)), TO, **QUIET)
    calls.clear()
    with pytest.raises(InputError, match=r"s3://letters/graphemes: has another store; .*aws s3 rm --recursive"):
        upload_store(Store.open(packed(count=30, seed=1, name="other")), TO, **QUIET)
    assert set(calls) == {"GetObject"}


@pytest.mark.parametrize(
    "to", ["letters/graphemes", "s3://letters", "s3://letters/", "s3://L/a", "/data", "s3://l s/a"]
)
def test_a_place_that_is_none_is_refused(packed, to):
    with pytest.raises(InputError, match=r"--to=.*: expected s3://bucket/folder"):
        upload_store(Store.open(packed(count=30)), to, progress=False)


@pytest.mark.parametrize(
    ("code", "said"),
    [("ExpiredToken", "credentials have expired"), ("AccessDenied", "not allowed"), ("NoSuchBucket", "NoSuchBucket")],
)
def test_what_aws_refuses_is_said_in_one_line(packed, s3, calls, code, said):
    from botocore.exceptions import ClientError

    def refused(**_):
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "CreateMultipartUpload")

    calls.on("before-call.s3.CreateMultipartUpload", refused)
    with pytest.raises(InputError, match=rf"--to=s3://letters/graphemes: .*{said}"):
        upload_store(Store.open(packed(count=30)), TO, progress=False)


def test_a_bucket_that_is_not_there_is_said(packed, s3):
    with pytest.raises(InputError, match=r"--to=s3://no-such-bucket/a: .*\(NoSuchBucket\)"):
        upload_store(Store.open(packed(count=30)), "s3://no-such-bucket/a", progress=False)


@pytest.mark.serial
def test_a_command_that_was_killed_goes_on(packed, bucket, monkeypatch, tmp_path):
    """scripts/prepare.py upload as a user types it, killed while its last part is on the way."""
    from moto.s3.models import S3Backend

    folder, stuck, released, numbers = packed(count=1500), threading.Event(), threading.Event(), []
    takes = S3Backend.upload_part

    def upload_part(self, bucket_name, multipart_id, part_id, value):
        if not released.is_set() and part_id == 2 and len(value) > MIB:
            stuck.set()
            released.wait(60)
        numbers.append(part_id)
        return takes(self, bucket_name, multipart_id, part_id, value)

    monkeypatch.setattr(S3Backend, "upload_part", upload_part)
    words = [sys.executable, str(ROOT / "scripts" / "prepare.py"), "upload", str(folder), "--to", TO]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ)
    try:
        assert stuck.wait(120)
        give_up = threading.Event()
        while sorted(numbers) != [1, 3]:
            assert process.poll() is None
            give_up.wait(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    finally:
        process.kill()
        process.communicate()
        released.set()
    before = len(numbers)
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, env={**os.environ, "COLUMNS": "120"})
    assert done.returncode == 0, done.stderr
    assert "launcher.data=s3://letters/graphemes" in done.stdout
    (kept,) = re.findall(r"([\d,]+) were there", done.stdout)
    size, part = (folder / IMAGES).stat().st_size, 16 * MIB
    assert int(kept.replace(",", "")) >= size - part
    assert len(numbers) - before <= 4 + 1  # a part of images and three files; what was stuck may have come late
    Store.open(fetched(bucket, tmp_path / "channel")).verify()
    refused = subprocess.run([*words[:-1], "graphemes"], capture_output=True, text=True, timeout=60, env=os.environ)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "error: --to=graphemes: expected s3://bucket/folder\n"
