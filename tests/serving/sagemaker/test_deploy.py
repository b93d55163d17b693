"""scripts/deploy.py and scripts/invoke.py against the local AWS, whose endpoints are SageMaker's own toolkit."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from okkhor.serving.predictor import Predictor

pytestmark = [pytest.mark.serial, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ("scripts/deploy.py", "--target", "sagemaker")
INVOKE = ("scripts/invoke.py", "--timeout", "200")  # on a computer that is busy


@pytest.fixture
def deploy(hosting, aws, typed):
    """deploy("RUN", "--mode", …): the endpoint `letters`, with the account's role and bucket."""

    def run(*words: str, code: int = 0):
        done = typed(*DEPLOY, "--name", "letters", *words)
        assert done.returncode == code, done.stderr
        return done

    return run


@pytest.fixture
def account(aws) -> tuple[str, ...]:
    return "--role", aws.role, "--bucket", aws.bucket


@pytest.fixture
def answer_of(handmade_bundle, image):
    """answer_of(bundle): what the bundle's own Predictor says about the image, as JSON without times."""

    def answer(bundle=handmade_bundle, top: int = 5) -> dict:
        return plain(Predictor.load(bundle, "onnx").predict([image.read_bytes()], top=top)[0].as_json())

    return answer


def plain(answer: dict) -> dict:
    """Without what differs from one time to the next."""
    answer = {key: value for key, value in answer.items() if key != "milliseconds"}
    answer["confidence"] = round(answer["confidence"], 4)
    answer["heads"] = {
        head: [one | {"probability": round(one["probability"], 4)} for one in choices]
        for head, choices in answer["heads"].items()
    }
    return answer


def nothing_left(aws, hosting) -> bool:
    """Whether an account has nothing of endpoints."""
    made = [hosting.endpoints, *hosting.requests.values()]
    autoscaling, below = aws.client("application-autoscaling"), {"ServiceNamespace": "sagemaker"}
    made += [
        aws.client("s3").list_object_versions(Bucket=aws.bucket).get("Versions", []),
        autoscaling.describe_scalable_targets(**below)["ScalableTargets"],
        autoscaling.describe_scaling_policies(**below)["ScalingPolicies"],
        aws.client("cloudwatch").describe_alarms()["MetricAlarms"],
        aws.client("logs").describe_log_groups()["logGroups"],
    ]
    return not any(made)


def test_real_time_from_nothing_to_an_answer_through_an_update_and_back(
    aws, hosting, deploy, account, typed, handmade_bundle, newer_bundle, image, answer_of
):
    bundle = str(handmade_bundle)
    made = deploy(bundle, *account, "--capture", "100", "--scale", "1,3", "--load", "60", "--workers", "1")
    assert "letters is in service" in made.stdout
    asked = typed(*INVOKE, str(image), "--endpoint", "letters", "--json")
    assert plain(json.loads(asked.stdout)) == answer_of()
    assert json.loads(captured(aws)["endpointOutput"]["data"])["grapheme"] == answer_of()["grapheme"]
    assert json.loads(captured(aws)["endpointInput"]["data"])["top"] == 5
    assert targets(aws) == [(1, 3)]

    hosting.endpoints["letters"].count = 2  # auto scaling has added one
    answered, ended = [], threading.Event()

    def keep_asking() -> None:
        runtime = aws.client("sagemaker-runtime")
        while not ended.wait(0.05):
            told = runtime.invoke_endpoint(EndpointName="letters", ContentType="image/png", Body=image.read_bytes())
            answered.append(json.loads(told["Body"].read())["model"]["version"])

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        deploy(str(newer_bundle), "--shift", "canary:10:60")
    finally:
        ended.set()
        asking.join()
    assert set(answered) == {"1.0", "2.0"}
    assert answered == sorted(answered)
    ((_, configuration),) = hosting.requests["EndpointConfig"].items()  # the old one is gone
    assert configuration["DataCaptureConfig"]["InitialSamplingPercentage"] == 100  # and what was not said stayed
    assert len(hosting.requests["Model"]) == 1
    assert hosting.endpoints["letters"].count == 2
    (update,) = hosting.endpoints["letters"].deployed
    routing = update["DeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert (routing["Type"], routing["CanarySize"]["Value"]) == ("CANARY", 10)
    assert sum(key.endswith("model.tar.gz") for key in keys(aws)) == 1

    hosting.out_of_capacity = 1
    failed = deploy(bundle, code=1)
    assert "the update was rolled back, the old one answers: Unable to provision" in failed.stderr
    assert failed.stderr.count("\n") == 1
    asked = typed(*INVOKE, str(image), "--endpoint", "letters", "--json")
    assert plain(json.loads(asked.stdout)) == answer_of(newer_bundle)
    assert [len(made) for made in hosting.requests.values()] == [1, 1]

    other = deploy(bundle, "--mode", "serverless", code=2)
    assert "letters is real-time, which AWS does not turn into another" in other.stderr
    typeless = deploy(bundle, "--instance-type", "ml.c5.large", code=2)
    assert "name --scale and --load for the new type" in typeless.stderr
    deploy("--delete")
    assert nothing_left(aws, hosting)


def captured(aws) -> dict:
    s3 = aws.client("s3")
    (key,) = [key for key in keys(aws) if "/captured/letters/all/" in key]
    return json.loads(s3.get_object(Bucket=aws.bucket, Key=key)["Body"].read())["captureData"]


def keys(aws) -> list[str]:
    return [one["Key"] for one in aws.client("s3").list_objects_v2(Bucket=aws.bucket).get("Contents", [])]


def targets(aws) -> list[tuple[int, int]]:
    found = aws.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    return [(one["MinCapacity"], one["MaxCapacity"]) for one in found["ScalableTargets"]]


def test_an_asynchronous_one_answers_through_s3_and_scales_from_nothing(
    aws, hosting, deploy, account, typed, handmade_bundle, image, answer_of, tmp_path
):
    deploy(str(handmade_bundle), *account, "--mode", "async", "--scale", "0,2", "--load", "5", "--workers", "1")
    assert targets(aws) == [(0, 2)]
    (alarm,) = aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert alarm["MetricName"] == "HasBacklogWithoutCapacity"
    assert "okkhor-letters-wake" in alarm["AlarmActions"][0]
    before = keys(aws)
    asked = typed(*INVOKE, str(image), "--endpoint", "letters", "--async", "--json")
    assert plain(json.loads(asked.stdout)) == answer_of()
    (tmp_path / "broken.png").write_bytes(image.read_bytes()[:60])
    refused = typed(*INVOKE, "broken.png", "--endpoint", "letters", "--async")
    assert (refused.returncode, refused.stderr) == (1, "error: broken.png: 400 NotAnImage: a PNG that is cut off\n")
    assert keys(aws) == before  # questions and answers are gone
    plainly = typed(*INVOKE, str(image), "--endpoint", "letters")
    assert plainly.returncode == 2
    assert "is not of that type of inference" in plainly.stderr
    deploy("--delete")
    assert nothing_left(aws, hosting)


def test_several_models_share_one_and_more_are_added(
    aws, hosting, deploy, account, typed, handmade_bundle, newer_bundle, image, answer_of
):
    own = ("--image", "123456789012.dkr.ecr.us-east-1.amazonaws.com/okkhor-serving:1", "--workers", "1")
    deploy(f"old={handmade_bundle}", *account, "--mode", "multi-model", *own)
    deploy(f"new={newer_bundle}")
    assert hosting.endpoints["letters"].deployed == []  # to add one needs no update
    for name, bundle in {"old": handmade_bundle, "new": newer_bundle}.items():
        asked = typed(*INVOKE, str(image), "--endpoint", "letters", "--model", name, "--json")
        assert plain(json.loads(asked.stdout)) == answer_of(bundle), asked.stderr
    other = deploy(f"old={newer_bundle}", code=2)
    assert "has another model by this name" in other.stderr
    missing = typed(*INVOKE, str(image), "--endpoint", "letters", "--model", "third")
    assert missing.returncode == 2
    assert "third.tar.gz" in missing.stderr
    deploy("--delete")
    assert nothing_left(aws, hosting)


def test_a_serverless_one_starts_when_it_is_asked(
    aws, hosting, deploy, account, typed, handmade_bundle, image, answer_of
):
    deploy(str(handmade_bundle), *account, "--mode", "serverless", "--memory", "2048", "--workers", "1")
    assert hosting.containers == []
    asked = typed(*INVOKE, str(image), "--endpoint", "letters", "--json")
    assert plain(json.loads(asked.stdout)) == answer_of()
    ((_, configuration),) = hosting.requests["EndpointConfig"].items()
    assert configuration["ProductionVariants"][0]["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    deploy("--delete")
    assert nothing_left(aws, hosting)


def test_one_that_does_not_come_up_says_why_and_leaves_nothing(aws, hosting, deploy, account, handmade_bundle):
    hosting.out_of_capacity = 1
    failed = deploy(str(handmade_bundle), *account, code=1)
    assert "letters: Failed: Unable to provision requested ML compute capacity" in failed.stderr
    assert failed.stderr.count("\n") == 1
    assert nothing_left(aws, hosting)
    gone = deploy("--delete", code=2)
    assert gone.stderr == "error: --name=letters: no such endpoint in us-east-1, and nothing left of one\n"


def test_stopping_to_wait_leaves_it_to_come_up(aws, hosting, deploy, account, handmade_bundle):
    words = ["--name", "letters", str(handmade_bundle), *account, "--workers", "1"]
    process = subprocess.Popen([sys.executable, ROOT / DEPLOY[0], *DEPLOY[1:], *words], stdout=-1, stderr=-1, text=True)
    for line in process.stdout:
        if "Creating" in line:
            process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=200)
    assert process.returncode == 130
    assert said == "letters: stopped waiting; scripts/deploy.py --target sagemaker --name letters --delete removes it\n"
    for thread in hosting.threads:
        thread.join()
    assert hosting.endpoints["letters"].status == "InService"
    deploy("--delete")
    assert nothing_left(aws, hosting)


def test_an_endpoint_of_others_is_left_alone(aws, hosting, deploy, account, handmade_bundle):
    sagemaker = aws.client("sagemaker")
    aws.client("s3").put_object(Bucket=aws.bucket, Key="theirs/model.tar.gz", Body=b"")
    container = {
        "Image": "theirs:1",
        "ModelDataUrl": f"s3://{aws.bucket}/theirs/model.tar.gz",
        "Environment": {"SAGEMAKER_PROGRAM": "theirs.py"},
    }
    sagemaker.create_model(ModelName="letters-theirs", PrimaryContainer=container, ExecutionRoleArn=aws.role)
    serverless = {"MemorySizeInMB": 1024, "MaxConcurrency": 1}
    variant = {"VariantName": "v", "ModelName": "letters-theirs", "ServerlessConfig": serverless}
    sagemaker.create_endpoint_config(EndpointConfigName="letters-theirs", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="letters", EndpointConfigName="letters-theirs")
    for words in (["--delete"], [str(handmade_bundle), *account]):
        refused = deploy(*words, code=2)
        assert refused.stderr == (
            "error: letters: this endpoint was not made by scripts/deploy.py; choose another --name\n"
        )
    assert set(hosting.endpoints) == {"letters"}
    assert [set(made) for made in hosting.requests.values()] == [{"letters-theirs"}] * 2


def test_credentials_that_have_expired_are_told_in_one_line(aws, deploy, account, handmade_bundle):
    aws.expire_credentials()
    refused = deploy(str(handmade_bundle), *account, code=2)
    assert refused.stderr.startswith("error: --name=letters: the AWS credentials have expired; log in again")
    assert refused.stderr.count("\n") == 1
