"""Requests for training jobs as boto3 takes them: for tests of the local AWS and of the container."""

import io
import subprocess
import tarfile
from pathlib import Path

from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
ENTRY = ["/bin/bash", "/opt/ml/input/data/script/run.sh"]


def job(aws, name, script, *, instances=1, channels=None, **more):
    """Create a job that runs lines of shell as process 1 of each host; channels: name -> key in the bucket.

    The lines are sent as a channel of their own: an entry point has at most 256 characters.
    """
    aws.client("s3").put_object(Bucket=aws.bucket, Key=f"scripts/{name}/run.sh", Body=script.encode())
    inputs = [
        {
            "ChannelName": channel,
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{aws.bucket}/{key}"}},
        }
        for channel, key in {"script": f"scripts/{name}", **(channels or {})}.items()
    ]
    request = {
        "TrainingJobName": name,
        "RoleArn": aws.role,
        "AlgorithmSpecification": {
            "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/okkhor:1",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ENTRY,
        },
        "OutputDataConfig": {"S3OutputPath": f"s3://{aws.bucket}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": instances, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "InputDataConfig": inputs,
        **more,
    }
    unchecked = Config(parameter_validation=False)  # what is wrong is for the service to say
    aws.session.client("sagemaker", config=unchecked).create_training_job(**request)
    return name


def on_spot(aws, folder):
    """Members of a request for a job on spot that keeps its checkpoints in a folder of the bucket."""
    return {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
        "CheckpointConfig": {"S3Uri": f"s3://{aws.bucket}/{folder}"},
    }


def send_source(aws, key="code"):
    """Send the project's own source, as git lists it, as one archive: source/source.tar.gz."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "src", "configs", "scripts", "train.py"], cwd=ROOT, capture_output=True, check=True
    ).stdout.split(b"\0")
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
            for name in sorted(entry.decode() for entry in listed if entry):
                if (ROOT / name).is_file():
                    archive.add(ROOT / name, arcname=name)
        aws.client("s3").put_object(Bucket=aws.bucket, Key=f"{key}/source.tar.gz", Body=file.getvalue())
    return key


def objects(aws, prefix=""):
    """The keys below a prefix of the bucket."""
    return [
        entry["Key"] for entry in aws.client("s3").list_objects_v2(Bucket=aws.bucket, Prefix=prefix).get("Contents", [])
    ]


def unpacked(aws, name, which="output"):
    """The files of a job's output.tar.gz or model.tar.gz: name -> bytes."""
    body = aws.client("s3").get_object(Bucket=aws.bucket, Key=f"out/{name}/output/{which}.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive if entry.isfile()}
