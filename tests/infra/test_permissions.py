"""infra/cloudformation.yaml allows no more than is needed, as far as AWS lets one say it.

Each statement is held against AWS's own list of actions and of what they act on, in cfn-lint's copy: for each action
the kinds of resources that a statement can name, none where AWS allows `*` alone.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from okkhor.serving.sagemaker.wanted import PREFIX

TEMPLATE = Path(__file__).resolve().parents[2] / "infra" / "cloudformation.yaml"

# Actions that are allowed on `*`, and why AWS allows no better
EVERYWHERE = {
    "application-autoscaling:DescribeScalableTargets": "AWS knows no resource for it",
    "application-autoscaling:DescribeScalingPolicies": "AWS knows no resource for it",
    "cloudwatch:PutMetricData": "metrics are no resources; a condition holds it to SageMaker's namespaces",
    "ec2:DescribeDhcpOptions": "AWS knows no resource for it",
    "ec2:DescribeNetworkInterfaces": "AWS knows no resource for it",
    "ec2:DescribeSecurityGroups": "AWS knows no resource for it",
    "ec2:DescribeSubnets": "AWS knows no resource for it",
    "ec2:DescribeVpcs": "AWS knows no resource for it",
    "ecr:GetAuthorizationToken": "a login to all repositories; what is read there is allowed by repository",
    "pricing:GetProducts": "the price list is public, AWS knows no resource for it",
    "sagemaker:ListEndpointConfigs": "AWS knows no resource for it",
    "sagemaker:ListModels": "AWS knows no resource for it",
    "sagemaker:ListTrainingJobs": "AWS knows no resource for it",
}
# Ends of ARNs that name all of a kind, and why their names are not known beforehand
WHOLE = {
    ":network-interface/*": "AWS gives the names; subnets and security groups beside them are those of the stack",
    ":scalable-target/*": "AWS gives the names; a condition holds it to SageMaker",
    "${Bucket.Arn}/*": "the objects of the stack's own bucket",
}
ARNS = {
    "Bucket.Arn": "arn:aws:s3:::bucket",
    "TrainingRole.Arn": "arn:aws:iam::123456789012:role/training",
    "HostingRole.Arn": "arn:aws:iam::123456789012:role/hosting",
    "KmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1",
}


ALL_OF_A_KIND = re.compile(r"[^:/]*[:/]\*")  # what an ARN ends in where it names all of a kind


@dataclass(frozen=True)
class Statement:
    """What is allowed. where: its path in the template; resources: as they are written, functions as ${…}."""

    where: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Any]
    keys: frozenset[str]


@cache
def load(path: Path) -> Any:
    """A template as plain data, !Ref as {"Ref": …}."""
    from cfnlint.decode import cfn_yaml

    return cfn_yaml.load(str(path))


def statements(node: Any, where: str = "") -> Iterator[Statement]:
    """All statements below a node of a template, of whatever kind of policy, that allow something to someone."""
    if isinstance(node, Mapping):
        if node.get("Effect") == "Allow":
            keys = frozenset(map(str, node))
            yield Statement(
                where, texts(node.get("Action", ())), texts(node.get("Resource", ())), node.get("Condition", {}), keys
            )
        for key, value in node.items():
            yield from statements(value, f"{where}/{key}")
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from statements(value, f"{where}/{i}")


def texts(value: Any) -> tuple[str, ...]:
    """Strings of a member that may hold one or several, intrinsic functions among them as ${…}."""
    if isinstance(value, str):
        return (str(value),)
    if isinstance(value, Mapping):
        ((function, inside),) = value.items()
        if function == "Fn::Sub":
            assert isinstance(inside, str), inside
            return (str(inside),)
        assert function in ("Ref", "Fn::GetAtt"), function
        return ("${" + (inside if isinstance(inside, str) else ".".join(inside)) + "}",)
    return tuple(text for one in value for text in texts(one))


@cache
def reference() -> dict[str, Any]:
    """service -> Actions, each with its kinds of Resources, and Resources, each with its ARNFormats."""
    file = resources.files("cfnlint") / "data" / "AdditionalSpecs" / "Policies.json"
    return json.loads(file.read_text(encoding="utf-8"))


def kinds_of(action: str) -> list[str] | None:
    """Kinds of resources that an action can be allowed on: none where it takes `*` alone; None: no such action."""
    service, _, name = action.partition(":")
    found = reference().get(service, {}).get("Actions", {}).get(name.lower())
    return None if found is None else found.get("Resources", [])


def names(action: str, resource: str) -> bool:
    """Whether an ARN, wildcards and all, is of a kind that an action acts on."""
    service = action.partition(":")[0]
    known = {kind.lower(): told["ARNFormats"] for kind, told in reference()[service]["Resources"].items()}
    if service == "s3":  # the list does not tell them apart
        known |= {"bucket": ["arn:aws:s3:::[^/]+"], "object": ["arn:aws:s3:::[^/]+/.*"]}
    formats = [arn for kind in kinds_of(action) or () for arn in known[kind.lower()]]
    return any(re.fullmatch(re.sub(r"\$\{\w+\}", "[^:]*", arn), resource) for arn in formats)


def faults(
    statement: Statement, everywhere: Mapping[str, str], whole: Mapping[str, str], arns: Mapping[str, str]
) -> list[str]:
    """What a statement allows that AWS lets one narrow, and what of it has no effect.

    everywhere: actions that may stand with `*`, and why; whole: ends of ARNs that may name all of a kind, and why;
    arns: what stands for an ARN in the template -> such an ARN.
    """
    found = [f"{key}: says what is not meant" for key in statement.keys & {"NotAction", "NotResource", "NotPrincipal"}]
    for action in statement.actions:
        kinds = kinds_of(action)
        if "*" in action or "?" in action:
            found.append(f"{action}: names more than one action")
        elif kinds is None:
            found.append(f"{action}: there is no such action")
        elif "*" in statement.resources:
            if action not in everywhere:
                found.append(f"{action}: on everything, without a reason" + (f"; name {kinds}" if kinds else ""))
        elif not kinds:
            found.append(f"{action}: has no effect on {statement.resources}, AWS allows it on * alone")
        elif not any(names(action, _filled(one, arns)) for one in statement.resources):
            found.append(f"{action}: has no effect on {statement.resources}, expected {kinds}")
    for resource in statement.resources:
        if resource == "*":
            continue
        _, _, service, region, account, rest = _filled(resource, arns).split(":", 5)
        if "*" in service + region + account:
            found.append(f"{resource}: of any service, region or account")
        if (rest == "*" or ALL_OF_A_KIND.fullmatch(rest)) and not any(resource.endswith(end) for end in whole):
            found.append(f"{resource}: all of a kind, without a reason")
    return found


def _filled(resource: str, arns: Mapping[str, str]) -> str:
    for name, arn in arns.items():
        resource = resource.replace("${" + name + "}", arn)
    return re.sub(r"\$\{[\w.:]+\}", "some", resource)


def allowed(identity: bool) -> list[Statement]:
    """Statements of the template: of what an identity may do, or of who may take on a role."""
    found = list(statements(load(TEMPLATE)))
    return [one for one in found if ("Principal" in one.keys) is not identity]


def wrong(**statement) -> list[str]:
    given = {"where": "", "condition": {}, "keys": frozenset(), **statement}
    return faults(Statement(**given), EVERYWHERE, WHOLE, ARNS)


def test_nothing_is_allowed_that_aws_lets_one_narrow():
    found = {one.where: faults(one, EVERYWHERE, WHOLE, ARNS) for one in allowed(identity=True)}
    assert len(found) > 25
    assert {where: said for where, said in found.items() if said} == {}


def test_every_exception_is_used_and_true():
    used = {action for one in allowed(identity=True) if "*" in one.resources for action in one.actions}
    assert used == set(EVERYWHERE)
    # a "dataset" is not what PutMetricData writes to; of all others AWS's list says it
    assert {action for action in EVERYWHERE if kinds_of(action)} == {"cloudwatch:PutMetricData"}
    named = {resource for one in allowed(identity=True) for resource in one.resources}
    assert all(any(resource.endswith(end) for resource in named) for end in WHOLE)


@pytest.mark.parametrize(
    ("actions", "resources", "said"),
    [
        (["s3:*"], ["${Bucket.Arn}/*"], "more than one action"),
        (["*"], ["*"], "more than one action"),
        (["s3:GetObject"], ["*"], "on everything"),
        (["s3:GetObjects"], ["${Bucket.Arn}/*"], "no such action"),
        (["s3:GetObject"], ["${Bucket.Arn}"], "has no effect"),
        (["s3:ListBucket"], ["${Bucket.Arn}/*"], "has no effect"),
        (["s3:GetObject"], ["arn:aws:s3:::*"], "all of a kind"),
        (["sagemaker:ListModels"], ["arn:aws:sagemaker:us-east-1:123456789012:model/okkhor*"], "on * alone"),
        (["sagemaker:CreateModel"], ["arn:aws:sagemaker:us-east-1:123456789012:model/*"], "all of a kind"),
        (["sagemaker:CreateModel"], ["arn:aws:sagemaker:*:123456789012:model/okkhor"], "any service, region"),
        (["sagemaker:CreateModel"], ["arn:aws:sagemaker:us-east-1:123456789012:endpoint/okkhor"], "has no effect"),
        (["iam:PassRole"], ["*"], "on everything"),
        (["kms:Decrypt", "ecr:GetAuthorizationToken"], ["*"], "kms:Decrypt: on everything"),
    ],
)
def test_what_is_too_much_or_nothing_is_found(actions, resources, said):
    assert any(said in one for one in wrong(actions=tuple(actions), resources=tuple(resources)))


def test_what_is_meant_by_its_contrary_is_found():
    assert wrong(actions=(), resources=(), keys=frozenset({"NotAction"}))


# What S3 calls the permission for a request, where it is not called as the request
IN_S3 = {
    "complete_multipart_upload": "PutObject",
    "create_multipart_upload": "PutObject",
    "delete_objects": "DeleteObject",
    "download_file": "GetObject",
    "head_bucket": "ListBucket",
    "head_object": "GetObject",
    "list_multipart_uploads": "ListBucketMultipartUploads",
    "list_object_versions": "ListBucketVersions",
    "list_objects_v2": "ListBucket",
    "list_parts": "ListMultipartUploadParts",
    "upload_file": "PutObject",
    "upload_part": "PutObject",
}
SERVICES = ("application-autoscaling", "cloudformation", "cloudwatch", "logs", "pricing", "s3", "sagemaker")


def asked() -> dict[str, str]:
    """Permission -> file, of all that this project's code asks of AWS by its name, as a method or a request."""
    from botocore import xform_name
    from botocore.loaders import Loader

    operations = {
        (service, name): name
        for service in SERVICES
        for name in Loader().load_service_model(service, "service-2")["operations"]
    }
    known = {xform_name(name): (service, name) for service, name in operations}
    known |= {method: ("s3", name) for method, name in IN_S3.items()}
    del known["search"]  # is one of regular expressions
    source = TEMPLATE.parents[1] / "src" / "okkhor"
    files = [source / "data" / "upload.py", source / "serving" / "client.py"]
    for folder in ("aws", "launching/sagemaker", "serving/sagemaker"):
        files += sorted((source / folder).glob("*.py"))
    found = {}
    for file in files:
        text = file.read_text(encoding="utf-8")
        for method in re.findall(r"\.([a-z0-9_]+)\(", text) + re.findall(r'get_paginator\("([a-z0-9_]+)"\)', text):
            if method in known:
                found[":".join(known[method])] = file.name
        for operation in re.findall(r'"([A-Z][A-Za-z]+)"', text):
            found |= {f"{service}:{name}": file.name for service, name in operations if name == operation}
    return found


def test_who_launches_and_deploys_may_do_what_the_code_asks_for():
    names = ("LaunchPolicy", "DeployPolicy")
    granted = {
        action
        for name in names
        for one in statements(load(TEMPLATE)["Resources"][name])
        for action in one.actions
    }  # fmt: skip
    needed = asked()
    assert {"sagemaker:CreateTrainingJob", "sagemaker:CreateModel", "s3:ListBucketMultipartUploads"} <= set(needed)
    assert {action: file for action, file in needed.items() if action not in granted} == {}


def test_roles_are_sagemakers_in_this_account_and_are_handed_to_it_alone():
    trusts = allowed(identity=False)
    assert len(trusts) == 3
    for one in trusts:
        assert one.actions == ("sts:AssumeRole",)
        assert one.condition == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    passes = [one for one in allowed(identity=True) if "iam:PassRole" in one.actions]
    assert {one.resources for one in passes} == {("${TrainingRole.Arn}",), ("${HostingRole.Arn}",)}
    for one in passes:
        assert one.condition == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    (metrics,) = [one for one in allowed(identity=True) if "cloudwatch:PutMetricData" in one.actions]
    assert metrics.condition == {"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "AWS/SageMaker"]}}


def test_names_that_are_allowed_are_those_that_are_given():
    """Of jobs by the launcher, of endpoints and their files by scripts/deploy.py."""
    from okkhor.launching.sagemaker.request import base_name

    named = {resource for one in allowed(identity=True) for resource in one.resources}
    assert base_name("default-2026-11-22_20-18-00").startswith("okkhor-")
    assert any(resource.endswith(":training-job/okkhor-*") for resource in named)
    assert "${Bucket.Arn}/" + PREFIX + "/*" in named
