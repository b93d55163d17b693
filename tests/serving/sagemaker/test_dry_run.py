"""What scripts/deploy.py would send, and mistakes in its command line; no call to AWS is made, and there is no AWS."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

from okkhor.errors import InputError

pytest.importorskip("sagemaker.core", reason="the SDK is in the extra: pip install -e '.[sagemaker]'")

ROLE = "arn:aws:iam::123456789012:role/hosting"
DEPLOY = ("scripts/deploy.py", "--target", "sagemaker")
WANTED = ("--role", ROLE, "--bucket", "mine", "--dry-run")
ROOT = Path(__file__).resolve().parents[3]
NOWHERE = {
    "AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-central-1", "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": "",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
}  # fmt: skip


@pytest.fixture
def deploy(monkeypatch, handmade_bundle):
    """deploy(*words): run the command in this process, where the SDK is loaded once for all tests."""
    for name, value in NOWHERE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "path", [*sys.path])
    spec = importlib.util.spec_from_file_location("deploy", ROOT / DEPLOY[0])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*words: str, run: bool = True) -> None:
        typed = [*DEPLOY, *([str(handmade_bundle)] if run else []), *words]
        monkeypatch.setattr(sys, "argv", typed)
        module.main()

    return run


@pytest.fixture
def planned(deploy, capsys):
    """planned(*words): operation -> request, the update's too."""

    def run(*words: str) -> dict[str, dict]:
        deploy("--name", "letters", *WANTED, *words)
        told = json.loads(capsys.readouterr().out)
        update = told["in_place_of_CreateEndpoint_if_it_exists"]
        return {one["operation"]: one["request"] for one in (*told["if_it_is_new"], update)}

    return run


def test_a_real_time_endpoint_with_all_that_can_be_said(planned):
    found = planned(
        "--instance-type", "ml.g5.xlarge", "--capture", "20", "--scale", "2,6", "--load", "90",
        "--shift", "linear:25:120", "--bake", "300", "--subnets", "subnet-1a,subnet-2b", "--security-groups", "sg-3c",
        "--tag", "team=letters", "--kms-key", "alias/disk", "--workers", "3",
    )  # fmt: skip
    model, config = found["CreateModel"], found["CreateEndpointConfig"]
    assert model["PrimaryContainer"]["Image"] == (
        "763104351884.dkr.ecr.eu-central-1.amazonaws.com/pytorch-inference:2.6-gpu-py312"
    )
    assert model["PrimaryContainer"]["ModelDataUrl"].startswith("s3://mine/okkhor/endpoints/letters/archives/")
    assert model["VpcConfig"] == {"Subnets": ["subnet-1a", "subnet-2b"], "SecurityGroupIds": ["sg-3c"]}
    assert {"Key": "team", "Value": "letters"} in model["Tags"]
    assert model["Tags"] == config["Tags"] == found["CreateEndpoint"]["Tags"]
    (variant,) = config["ProductionVariants"]
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.g5.xlarge", 2)
    assert variant["ModelName"] == model["ModelName"]
    assert config["DataCaptureConfig"]["DestinationS3Uri"] == "s3://mine/okkhor/endpoints/letters/captured"
    assert config["KmsKeyId"] == "alias/disk"
    assert found["RegisterScalableTarget"]["ResourceId"] == f"endpoint/letters/variant/{variant['VariantName']}"
    tracked = found["PutScalingPolicy"]["TargetTrackingScalingPolicyConfiguration"]
    assert tracked["TargetValue"] == 90
    policy = found["UpdateEndpoint"]["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    assert policy["TerminationWaitInSeconds"] == 300
    assert policy["TrafficRoutingConfiguration"] == {
        "Type": "LINEAR", "WaitIntervalInSeconds": 120, "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 25},
    }  # fmt: skip


def test_other_kinds_of_endpoints(planned):
    serverless = planned("--mode", "serverless", "--concurrency", "9")["CreateEndpointConfig"]["ProductionVariants"][0]
    assert serverless["ServerlessConfig"] == {"MemorySizeInMB": 3072, "MaxConcurrency": 9}
    assert "InstanceType" not in serverless
    several = planned("--mode", "multi-model", "--image", "me.example/okkhor:1")["CreateModel"]["PrimaryContainer"]
    assert several["Mode"] == "MultiModel"
    assert several["ModelDataUrl"] == "s3://mine/okkhor/endpoints/letters/models/"
    assert several["Environment"]["TS_ENABLE_MODEL_API"] == "true"
    later = planned("--mode", "async", "--instance-type", "ml.c7g.large")
    assert later["CreateEndpointConfig"]["AsyncInferenceConfig"]["OutputConfig"]["S3OutputPath"].endswith("/answers")
    assert "pytorch-inference-arm64" in later["CreateModel"]["PrimaryContainer"]["Image"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--name", "a_b"), "--name=a_b: expected letters, digits"),
        (("--name", "n" * 46), "at most 45"),
        (("--mode", "batch"), "--mode=batch: expected one of real-time, serverless, async, multi-model"),
        (("--accelerator", "eia2"), "--accelerator=eia2: Amazon Elastic Inference is retired by AWS; expected inf2"),
        (("--accelerator", "tpu"), "--accelerator=tpu: expected inf2"),
        (("--instance-type", "ml.m5.lrge"), "'ml.m5.lrge' is none of ml.m5.large, ml.m5.xlarge"),
        (("--instance-type", "ml.inf2.xlarge"), "name one with --image, see --accelerator inf2"),
        (("--count", "0"), "--count=0: expected at least 1"),
        (("--workers", "0"), "--workers=0: expected at least 1"),
        (("--capture", "101"), "--capture=101: expected a percentage"),
        (("--mode", "serverless", "--capture", "5"), "--capture: AWS has none of it for --mode=serverless"),
        (("--mode", "serverless", "--memory", "2000"), "--memory=2000: expected 1024, 2048, 3072"),
        (("--mode", "serverless", "--concurrency", "201"), "MaxConcurrency: 201, at most 200"),
        (("--memory", "2048"), "--memory: of --mode=serverless alone; this endpoint is real-time"),
        (("--scale", "1-4", "--load", "5"), "--scale=1-4: expected MIN,MAX, as in 1,4"),
        (("--scale", "4,1", "--load", "5"), "--scale=4,1: expected MIN at most MAX"),
        (("--scale", "1,4"), "--load is missing"),
        (("--scale", "1,4", "--load", "nan"), "--load=nan: expected more than 0"),
        (("--scale", "0,4", "--load", "5"), "--scale=0,4: down to 0 with --mode=async alone"),
        (("--load", "5"), "--load=5: goes with --scale"),
        (("--shift", "canary:60:10"), "--shift=canary:60:10: expected 1 to 50 percent"),
        (("--bake", "-1"), "--bake=-1: expected 0 to 3600 seconds"),
        (("--subnets", "subnet-1"), "--subnets and --security-groups: expected both or neither"),
        (("--tag", "letters"), "--tag=letters: expected KEY=VALUE"),
        (("--tag", "team=<b>"), "Tags[0].Value: '<b>' does not match"),
        (("--bucket", "s3://UPPER/x"), "--bucket=s3://UPPER/x: expected the name of a bucket"),
        (("--role", "hosting"), "--role=hosting: expected with --dry-run the whole ARN"),
        (("--stack", "okkhor"), "--stack: needs calls to AWS"),
        (("--isolated",), "--format=onnx: isolated ones reach no PyPI; expected --format torchscript"),
        (("--mode", "multi-model"), "--format=onnx: containers of several models install nothing"),
        (("--format", "aoti"), "--format=aoti: Amazon's images have an older PyTorch"),
        (("--delete",), "--delete: takes --name, no RUN"),
    ],
    ids=lambda one: "_".join(one).strip("-")[:30] if isinstance(one, tuple) else "",
)
def test_mistakes_are_told(deploy, words, said, capsys):
    with pytest.raises(InputError, match=re.escape(said)):
        deploy(*WANTED, *words)
    assert capsys.readouterr().out == ""


def test_they_end_in_one_line(typed, deploy, handmade_bundle):
    with pytest.raises(InputError, match="no RUN; expected a run directory or a bundle"):
        deploy(*WANTED, run=False)
    nowhere = {"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}
    done = typed(*DEPLOY, str(handmade_bundle), *WANTED, **nowhere)
    assert done.returncode == 2
    assert done.stderr == "error: AWS: no region; set AWS_REGION, or name one: us-east-1, ap-northeast-2 …\n"
