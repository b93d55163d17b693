"""infra/cloudformation.yaml: looked over by cfn-lint, and made by moto, AWS's double."""

import base64
import json
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

TEMPLATE = Path(__file__).resolve().parents[2] / "infra" / "cloudformation.yaml"
REGIONS = ["ap-northeast-2", "us-east-1", "us-east-2", "us-west-1", "us-west-2"]
REPOSITORY = "https://github.com/you/okkhor.git"
# of these moto makes nothing
NOT_MADE = {"AWS::Budgets::Budget", "AWS::EC2::SecurityGroupEgress", "AWS::S3::BucketPolicy"}
ALL = {
    "DefaultCodeRepository": REPOSITORY,
    "NatGateway": "yes",
    "BudgetEmail": "you@example.org",
    "KmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/0a1b",
}


def lint(template: str, *regions: str) -> list[str]:
    from cfnlint import api
    from cfnlint.config import ManualArgs

    return [str(match) for match in api.lint(template, config=ManualArgs(regions=list(regions), include_checks=["I"]))]


def test_the_linter_has_nothing_to_say_in_five_regions():
    assert lint(TEMPLATE.read_text(encoding="utf-8"), *REGIONS) == []


@pytest.mark.parametrize(
    ("good", "bad", "code"),
    [
        ("!GetAtt TrainingRole.Arn", "!GetAtt TrainingRoles.Arn", "E1010"),
        ("TransitionInDays: 60", "TransitionInDay: 60", "E3002"),
        ("Default: ml.t3.medium", "Default: ml.t3.tiny", "W1030"),
    ],
)
def test_the_linter_would_say_it(good, bad, code):
    template = TEMPLATE.read_text(encoding="utf-8")
    assert good in template
    assert any(code in one for one in lint(template.replace(good, bad), "us-east-1"))


def test_it_can_be_sent_as_it_is():
    assert TEMPLATE.stat().st_size < 51_200  # what CloudFormation takes without a bucket


@pytest.fixture
def account(monkeypatch) -> Iterator[Callable[..., Any]]:
    """boto3 clients of an empty account: account("s3")."""
    import boto3
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield lambda service, region="us-east-1": boto3.client(service, region_name=region)


@pytest.fixture(scope="session")
def written() -> Callable[[str], Any]:
    """Properties of a resource as the template has them, for what moto does not keep."""
    from cfnlint.decode import cfn_yaml

    template = cfn_yaml.load(str(TEMPLATE))
    return lambda name: template["Resources"][name]["Properties"]


def create(account: Callable[..., Any], region: str = "us-east-1", **parameters: str) -> tuple[dict, dict]:
    """A stack's outputs, and its resources by their names in the template."""
    formation = account("cloudformation", region)
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        formation.create_stack(
            StackName="okkhor", TemplateBody=TEMPLATE.read_text(encoding="utf-8"), Parameters=given,
            Capabilities=["CAPABILITY_IAM"],
        )  # fmt: skip
        (stack,) = formation.describe_stacks(StackName="okkhor")["Stacks"]
        resources = formation.describe_stack_resources(StackName="okkhor")["StackResources"]
    assert {str(one.message).split()[3] for one in caught} <= NOT_MADE
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    made = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in resources if "PhysicalResourceId" in one}
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}, made


def test_it_is_made_with_its_defaults_and_outputs_what_the_launcher_reads(account):
    region = "ap-northeast-2"
    outputs, made = create(account, region, DefaultCodeRepository=REPOSITORY)
    assert {"BucketName", "TrainingRoleArn", "HostingRoleArn", "LaunchPolicyArn", "DeployPolicyArn"} < set(outputs)
    assert "PrivateSubnetIds" not in outputs  # jobs there would not reach what they install
    assert "Nat" not in made
    account("s3", region).head_bucket(Bucket=outputs["BucketName"])
    for key in ("TrainingRoleArn", "HostingRoleArn"):
        role = account("iam").get_role(RoleName=outputs[key].rpartition("/")[2])["Role"]
        assert role["Arn"] == outputs[key]
    zones = {
        subnet["AvailabilityZone"]
        for subnet in account("ec2", region).describe_subnets(SubnetIds=outputs["VpcSubnets"].split(","))["Subnets"]
    }
    assert len(zones) == 2


def test_outputs_have_the_names_that_launcher_and_endpoints_ask_for(account):
    from okkhor.launching.sagemaker.account import OUTPUTS
    from okkhor.serving.sagemaker.account import BUCKET, ROLE

    outputs, _ = create(account, **ALL)
    assert {*OUTPUTS, ROLE, BUCKET} <= set(outputs)


def test_private_subnets_reach_s3_and_through_the_gateway_the_internet(account, written):
    outputs, made = create(account, **ALL)
    ec2 = account("ec2")
    assert outputs["PrivateSubnetIds"].split(",") == [made["PrivateSubnetA"], made["PrivateSubnetB"]]

    def default(table: str) -> dict[str, Any]:
        (found,) = ec2.describe_route_tables(RouteTableIds=[made[table]])["RouteTables"]
        (route,) = [route for route in found["Routes"] if route.get("DestinationCidrBlock") == "0.0.0.0/0"]
        return route

    assert default("PrivateRoutes")["NatGatewayId"] == made["Nat"]
    assert default("PublicRoutes")["GatewayId"] == made["InternetGateway"]
    (nat,) = ec2.describe_nat_gateways()["NatGateways"]
    assert nat["SubnetId"] == made["PublicSubnetA"]
    (endpoint,) = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert endpoint["ServiceName"] == "com.amazonaws.us-east-1.s3"
    assert made["PrivateRoutes"] in endpoint["RouteTableIds"]
    for kind in ("Public", "Private"):  # moto does not tell it
        for zone in "AB":
            assert written(f"{kind}RoutesOf{zone}") == {
                "SubnetId": {"Ref": f"{kind}Subnet{zone}"}, "RouteTableId": {"Ref": f"{kind}Routes"},
            }  # fmt: skip


def test_nothing_comes_in_but_from_the_hosts_of_a_job_and_out_goes_https(account, written):
    outputs, _ = create(account, **ALL)
    (subnet, _) = account("ec2").describe_subnets(SubnetIds=outputs["VpcSubnets"].split(","))["Subnets"]
    groups = account("ec2").describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [subnet["VpcId"]]}])
    training = outputs["TrainingSecurityGroupId"]
    ours = [group for group in groups["SecurityGroups"] if group["GroupName"] != "default"]
    assert len(ours) == 3
    for group in ours:
        sources = [pair["GroupId"] for rule in group["IpPermissions"] for pair in rule["UserIdGroupPairs"]]
        assert sources == ([training] if group["GroupId"] == training else [])
        assert [span for rule in group["IpPermissions"] for span in rule["IpRanges"]] == []
    for name in ("TrainingSecurityGroup", "HostingSecurityGroup", "NotebookSecurityGroup"):
        (rule,) = written(name)["SecurityGroupEgress"]
        assert (rule["FromPort"], rule["ToPort"]) == (443, 443)
    among, group = written("TrainingHostsOut"), {"Fn::GetAtt": ["TrainingSecurityGroup", "GroupId"]}
    assert (among["GroupId"], among["DestinationSecurityGroupId"]) == (group, group)


def test_the_bucket_is_encrypted_closed_and_tidied(account, written):
    outputs, _ = create(account, DefaultCodeRepository=REPOSITORY)
    kept = account("s3").get_bucket_encryption(Bucket=outputs["BucketName"])["ServerSideEncryptionConfiguration"]
    (rule,) = kept["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert list(written("Bucket")["PublicAccessBlockConfiguration"].values()) == [True] * 4
    rules = {rule["Id"]: rule for rule in written("Bucket")["LifecycleConfiguration"]["Rules"]}
    assert rules["unfinished-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert not any("ExpirationInDays" in rule for rule in rules.values())  # what was trained stays


def test_a_key_of_ones_own_encrypts_bucket_and_disk(account, written):
    outputs, _ = create(account, **ALL)
    kept = account("s3").get_bucket_encryption(Bucket=outputs["BucketName"])["ServerSideEncryptionConfiguration"]
    assert kept["Rules"][0]["ApplyServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": ALL["KmsKeyArn"],
    }  # fmt: skip
    for role in ("TrainingRole", "HostingRole", "NotebookRole"):
        attached = written(role)["ManagedPolicyArns"]
        assert {"Fn::If": ["HasKey", {"Ref": "KeyPolicy"}, {"Ref": "AWS::NoValue"}]} in attached


def test_policies_are_short_enough(account):
    """6,144 characters a managed policy, 10,240 all that are written into a role, white space aside."""
    create(account, **ALL)
    iam = account("iam")
    managed = iam.list_policies(Scope="Local")["Policies"]
    assert len(managed) == 4
    for policy in managed:
        version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])
        document = version["PolicyVersion"]["Document"]
        assert len(json.dumps(document, separators=(",", ":"))) < 6_144, policy["PolicyName"]


def test_the_notebook_clones_the_repository_and_stops_by_itself(account, written, tmp_path):
    outputs, made = create(account, **ALL, MLInstanceType="ml.t3.large", NotebookHours="3")
    sagemaker = account("sagemaker")
    (listed,) = sagemaker.list_notebook_instances()["NotebookInstances"]
    notebook = sagemaker.describe_notebook_instance(NotebookInstanceName=listed["NotebookInstanceName"])
    assert written("NotebookInstance")["DefaultCodeRepository"] == {"Ref": "DefaultCodeRepository"}
    assert notebook["InstanceType"] == "ml.t3.large"
    assert "Notebook" in outputs
    script = started(sagemaker, made["NotebookStart"].rpartition("/")[2])
    said = tmp_path / "said"
    for name in ("sleep", "aws"):
        program = tmp_path / name
        program.write_text(f'#!/bin/bash\necho {name} "$@" >> {said}\n', encoding="utf-8")
        program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    # what it leaves behind has the pipe, too: it is read to its end
    subprocess.run(["bash", "-c", script + "wait\n"], env=environment, check=True, timeout=60)
    assert said.read_text().splitlines() == [
        "sleep 10800",
        "aws sagemaker stop-notebook-instance --region us-east-1 --notebook-instance-name okkhor",
    ]


def test_there_is_no_notebook_where_none_is_wanted(account):
    outputs, made = create(account, Notebook="no")
    assert account("sagemaker").list_notebook_instances()["NotebookInstances"] == []
    assert "Notebook" not in outputs
    assert not {"NotebookInstance", "NotebookRole"} & set(made)


def started(sagemaker: Any, name: str) -> str:
    """What a notebook runs when it starts."""
    found = sagemaker.describe_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=name)
    return base64.b64decode(found["OnStart"][0]["Content"]).decode()
