"""The local AWS itself: that a job's life on it is what SageMaker's pages say."""

import subprocess
import sys
import time

import psutil
import pytest
from botocore.exceptions import ClientError

from aws.hosts import can_unshare
from aws.requests import ENTRY, ROOT, job, objects, on_spot, unpacked

pytestmark = pytest.mark.serial
TRAP = "trap 'echo saved > /opt/ml/checkpoints/last; exit 0' TERM; echo up; sleep 60 & wait"


def test_two_hosts_see_each_other_by_name_and_nothing_of_this_checkout(aws):
    script = (
        "echo $CURRENT_HOST > /opt/ml/output/data/$(hostname); getent hosts algo-2 > /opt/ml/model/$(hostname);"
        "echo process $$; ls /work /tmp /opt/ml; python -c 'import torch' && echo has torch;"
        "python -c 'import okkhor' 2> /dev/null || echo no okkhor; cat /opt/ml/input/config/resourceconfig.json; echo"
    )
    job(aws, "two", script, instances=2)
    told = aws.wait("two")
    assert (told["TrainingJobStatus"], told["SecondaryStatus"]) == ("Completed", "Completed")
    assert unpacked(aws, "two") == {"algo-1": b"algo-1\n", "algo-2": b"algo-2\n"}
    assert b"127.0.0.1" in unpacked(aws, "two", "model")["algo-1"]
    for host in ("algo-1", "algo-2"):
        lines = aws.logs("two")[host]
        assert {"process 1", "has torch", "no okkhor"} <= set(lines)
        assert any(f'"current_host": "{host}", ' in line and '"hosts": ["algo-1", "algo-2"]' in line for line in lines)


def test_one_failing_host_ends_the_job_with_its_reason(aws):
    script = 'test $CURRENT_HOST = algo-1 && exec sleep 60; printf "out of ink" > /opt/ml/output/failure; exit 3'
    aws.grace = 0.5
    job(aws, "fails", script, instances=2)
    told = aws.wait("fails")
    assert told["TrainingJobStatus"] == "Failed"
    assert told["FailureReason"] == "AlgorithmError: out of ink, exit code: 3"
    assert objects(aws, "out/fails") == []  # no model of a failed job


def test_a_stop_reaches_process_1_and_keeps_what_it_saved(aws):
    client = aws.session.client("sagemaker")
    checkpoints = {"CheckpointConfig": {"S3Uri": f"s3://{aws.bucket}/kept"}}
    job(aws, "stops", TRAP, **checkpoints)
    aws.until("stops", "Training", "up")
    client.stop_training_job(TrainingJobName="stops")
    told = aws.wait("stops")
    assert (told["TrainingJobStatus"], told["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert objects(aws, "kept") == ["kept/last"]
    with pytest.raises(ClientError, match="is in status Stopped"):
        client.stop_training_job(TrainingJobName="stops")


def test_process_1_that_does_not_listen_is_killed_after_the_grace(aws):
    aws.grace = 1
    job(aws, "deaf", "echo up; sleep 60")  # Bash has no handler: the kernel does not end a process 1 by SIGTERM
    aws.until("deaf", "Training", "up")
    started = time.monotonic()
    aws.session.client("sagemaker").stop_training_job(TrainingJobName="deaf")
    assert aws.wait("deaf")["TrainingJobStatus"] == "Stopped"
    assert time.monotonic() - started >= 1


def test_a_job_that_takes_too_long_is_stopped(aws):
    job(aws, "long", TRAP, StoppingCondition={"MaxRuntimeInSeconds": 1})
    told = aws.wait("long")
    assert (told["TrainingJobStatus"], told["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_an_interrupted_spot_job_starts_again_with_its_checkpoints_alone(aws):
    script = (
        "test -e /opt/ml/scratch && exit 9; touch /opt/ml/scratch; n=$(cat /opt/ml/checkpoints/n || echo 0);"
        "echo $((n + 1)) > /opt/ml/checkpoints/n; echo started $n; test $n = 0 && sleep 60; exit 0"
    )
    job(aws, "spot", script, **on_spot(aws, "spot"))
    aws.until("spot", "Training", "started 0")
    aws.interrupt("spot")
    told = aws.wait("spot")
    assert told["TrainingJobStatus"] == "Completed"
    passed = [one["Status"] for one in told["SecondaryStatusTransitions"]]
    again = ["Starting", "Downloading", "Training"]
    assert passed == [*again, "Interrupted", *again, "Uploading", "Completed"]
    assert "started 1" in aws.logs("spot")["algo-1"]
    job(aws, "demand", "true")
    with pytest.raises(AssertionError, match="not on spot"):
        aws.interrupt("demand")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"RoleArn": "arn:aws:iam::123456789012:role/nobody"}, "Could not assume role"),
        ({"OutputDataConfig": {"S3OutputPath": "s3://not-there/out"}}, "bucket does not exist"),
        ({"CheckpointConfig": {"S3Uri": "s3://not-there/x"}}, "bucket does not exist"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 0}}, "MaxRuntimeInSeconds: 0, at least 1"),
        ({"Environment": {"A": "x" * 600}}, "at most 512"),
        ({"EnableManagedSpotTraining": True}, "Invalid MaxWaitTimeInSeconds"),
        ({"channels": {"run": "nothing/here"}}, "No S3 objects found"),
    ],
)
def test_what_the_service_refuses_is_refused(aws, change, said):
    with pytest.raises(ClientError, match=said):
        job(aws, "refused", "true", **change)
    assert aws.created == []


def test_ordered_faults_end_by_themselves_and_expired_credentials_do_not(aws):
    aws.fail("ListTrainingJobs", "ThrottlingException", times=2)
    client = aws.session.client("sagemaker")
    assert client.list_training_jobs()["TrainingJobSummaries"] == []  # boto3 repeats what is throttled
    aws.fail("CreateTrainingJob", "ResourceLimitExceeded")
    with pytest.raises(ClientError, match="ResourceLimitExceeded"):
        job(aws, "limited", "true")
    job(aws, "limited", "true")
    aws.expire_credentials()
    for service, call in (("sagemaker", "list_training_jobs"), ("s3", "list_buckets"), ("sts", "get_caller_identity")):
        with pytest.raises(ClientError, match="expired"):
            getattr(aws.session.client(service), call)()
    aws.renew_credentials()
    assert aws.wait("limited")["TrainingJobStatus"] == "Completed"


def test_a_name_is_taken_once(aws):
    job(aws, "same", "true")
    with pytest.raises(ClientError, match="ResourceInUse"):
        job(aws, "same", "true")
    assert aws.wait("same")["TrainingJobStatus"] == "Completed"


def test_network_isolation_shuts_aws_out_and_metrics_are_read_from_logs(aws):
    look = (
        'python -c \'import boto3; print(len(boto3.client("s3").list_buckets()["Buckets"]), "buckets")\' 2>&1 | tail -1'
    )
    metrics = {"MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.]+)"}]}
    algorithm = {"TrainingImage": "x/y:1", "TrainingInputMode": "File", "ContainerEntrypoint": ENTRY} | metrics
    for name, isolated in (("open", False), ("shut", True)):
        script = f"echo score=0.25; {look}; echo score=0.5"
        job(aws, name, script, AlgorithmSpecification=algorithm, EnableNetworkIsolation=isolated)
    told = aws.wait("open")
    assert "1 buckets" in aws.logs("open")["algo-1"]
    assert {one["MetricName"]: one["Value"] for one in told["FinalMetricDataList"]} == {"score": 0.5}
    aws.wait("shut")
    assert "Could not connect" in " ".join(aws.logs("shut")["algo-1"])


def test_a_channel_in_fast_file_mode_cannot_be_written_to(aws):
    aws.client("s3").put_object(Bucket=aws.bucket, Key="data/sub/x", Body=b"x")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{aws.bucket}/data"}}
    script = "cd /opt/ml/input/data; cat fast/sub/x file/sub/x; echo; touch file/y && echo wrote; touch fast/y"
    scripts = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{aws.bucket}/scripts/modes"}}
    inputs = [
        {"ChannelName": "script", "DataSource": scripts},
        {"ChannelName": "file", "DataSource": source},
        {"ChannelName": "fast", "DataSource": source, "InputMode": "FastFile"},
    ]
    job(aws, "modes", script, InputDataConfig=inputs)
    assert aws.wait("modes")["TrainingJobStatus"] == "Failed"
    lines = aws.logs("modes")["algo-1"]
    assert lines[:2] == ["xx", "wrote"]
    assert "Read-only file system" in lines[2]


HOLDS = """
import os, sys, time
sys.path.insert(0, "tests")
from aws.requests import job
from aws.server import LocalAws
aws = LocalAws()
os.environ.update(aws.environment)
job(aws, "held", "echo up; sleep 4711")
aws.until("held", "Training", "up")
print("up", flush=True)
time.sleep(60)
"""


def test_a_test_run_that_is_killed_leaves_no_process(killable):
    with subprocess.Popen([sys.executable, "-c", HOLDS], stdout=subprocess.PIPE, env=killable, cwd=ROOT) as process:
        try:
            assert process.stdout.readline() == b"up\n"
            family = psutil.Process(process.pid).children(recursive=True)
        finally:
            process.kill()
    assert len(family) >= 5  # unshare, process 1 of the machines, unshare, Bash, sleep
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


def test_why_it_is_skipped_where_there_is_no_unshare(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert "`unshare`; there is none here" in can_unshare()
