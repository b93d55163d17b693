"""What SageMaker says of a job, as the launcher reads it; files that come back."""

import io
import tarfile
from pathlib import Path

import pytest

from okkhor.errors import InputError
from okkhor.launching.backend import Status
from okkhor.launching.sagemaker.job import State, read_reason, seed_files, telling
from okkhor.launching.sagemaker.record import JobRecord, collected, read_records, record_file, write_record
from okkhor.launching.sagemaker.storage import Storage, Stored, inside, split_uri
from okkhor.runs import Run


@pytest.fixture
def run(tmp_path):
    made = Run.create(tmp_path / "runs", "x")
    (made.path / "config.yaml").write_text("a: 1")
    return made


@pytest.mark.parametrize(
    ("word", "secondary", "status"),
    [
        ("InProgress", "Starting", Status.QUEUED),
        ("InProgress", "Pending", Status.QUEUED),
        ("InProgress", "Downloading", Status.QUEUED),
        ("InProgress", "Interrupted", Status.QUEUED),
        ("InProgress", "Training", Status.RUNNING),
        ("InProgress", "Uploading", Status.RUNNING),
        ("Stopping", "Stopping", Status.RUNNING),
        ("Completed", "Completed", Status.DONE),
        ("Failed", "Failed", Status.FAILED),
        ("Stopped", "Stopped", Status.STOPPED),
        ("Stopped", "MaxRuntimeExceeded", Status.FAILED),
        ("Stopped", "MaxWaitTimeExceeded", Status.FAILED),
    ],
)
def test_how_a_job_stands(run, word, secondary, status):
    answer = {"TrainingJobName": "x", "TrainingJobStatus": word, "SecondaryStatus": secondary}
    state = State.of(answer, run)
    assert state.status is status
    assert bool(state.message) is (status in (Status.FAILED, Status.STOPPED))


@pytest.mark.parametrize(
    ("reason", "message", "code"),
    [
        ("AlgorithmError: data.dir: no such folder, exit code: 2", "data.dir: no such folder", 2),
        (
            "AlgorithmError: rank 1: killed, exit code: 0 was asked, exit code: 137",
            "rank 1: killed, exit code: 0 was asked",
            137,
        ),
        ("AlgorithmError: a\nb, exit code: 1", "a\nb", 1),
        ("AlgorithmError: , exit code: None", "AlgorithmError: , exit code: None", 1),
        ("CapacityError: Unable to provision requested ML compute capacity.",) * 2 + (1,),
        ("InternalServerError: We encountered an internal error.",) * 2 + (1,),
        ("", "failed without a word; its log may say more", 1),
    ],
)
def test_a_failure_s_own_words(reason, message, code):
    assert read_reason(reason) == (message, code)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["x", "ERROR: no such x", "ERROR: more", "a.b.CalledProcessError: pip", "+++ handle_error"],
            "ERROR: no such x",
        ),
        (["Traceback", "ModuleNotFoundError: x", "An error occurred"], "ModuleNotFoundError: x"),
        (["x"], "its log may say more"),
    ],
)
def test_the_line_that_says_why_a_set_up_failed(lines, said):
    assert telling(lines) == said


def test_records_are_kept_in_their_order(run):
    one, two = JobRecord("a", "us-east-1", "s3://b/c", "s3://b/o"), JobRecord("b", "us-east-1", "s3://b/d", "s3://b/o")
    write_record(run, one)
    write_record(run, two)
    write_record(run, collected(one, {"TrainingJobStatus": "Failed"}))
    assert [(record.name, record.collected) for record in read_records(run)] == [("a", True), ("b", False)]
    record_file(run).write_text("{")
    with pytest.raises(InputError, match=r"sagemaker\.json: cannot be read"):
        read_records(run)


def test_a_run_that_goes_on_takes_all_along_but_what_the_job_gets_otherwise(run):
    for name in ("checkpoints/last.ckpt", "logs/metrics.csv", "logs/output.log", "logs/sagemaker.json", ".x.part"):
        (run.path / name).write_text("x")
    assert [name for _, name in seed_files(run)] == ["checkpoints/last.ckpt", "logs/metrics.csv"]


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x"])
def test_no_object_is_written_outside_of_the_run(tmp_path, name):
    with pytest.raises(InputError, match="leads out of"):
        inside(tmp_path, name)


def test_uris():
    assert split_uri("s3://bucket/a/b c") == ("bucket", "a/b c")


class Bucket:
    """A client of S3 that has the objects given; it stands in for the service, whose answers are two."""

    def __init__(self, objects):
        self.objects = objects

    def list_objects_v2(self, Bucket, Prefix, MaxKeys):  # noqa: N803 - boto3's names
        return {"Contents": [{"Key": key} for key in sorted(self.objects) if key.startswith(Prefix)][:MaxKeys]}

    def download_file(self, bucket, key, path):
        if isinstance(content := self.objects[key], Exception):
            Path(path).write_bytes(b"half")
            raise content
        Path(path).write_bytes(content)


def test_a_download_that_breaks_off_leaves_the_file_as_it_was(tmp_path):
    (tmp_path / "x").write_text("whole")
    storage = Storage(Bucket({"f/x": OSError("gone")}))
    with pytest.raises(OSError, match="gone"):
        storage.fetch("s3://b/f", [Stored("f/x", "x", 1, "tag")], tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x", "whole")]


def test_an_archive_is_unpacked_but_for_what_stays_and_what_leads_out(tmp_path):
    def archive(**files):
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:gz") as tar:
            for name, text in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                tar.addfile(entry, io.BytesIO(text.encode()))
        return content.getvalue()

    (tmp_path / "config.yaml").write_text("mine")
    good, bad = archive(**{"config.yaml": "theirs", "logs/x": "1"}), archive(**{"../x": "1"})
    storage = Storage(Bucket({"o/output.tar.gz": good, "o/bad": bad}))
    assert storage.unpack("s3://b/o/output.tar.gz", tmp_path, keep=["config.yaml"])
    assert (tmp_path / "config.yaml").read_text() == "mine"
    assert (tmp_path / "logs" / "x").read_text() == "1"
    assert not storage.unpack("s3://b/o/other", tmp_path)
    with pytest.raises(tarfile.OutsideDestinationError):
        storage.unpack("s3://b/o/bad", tmp_path)
