"""Auto scaling of an endpoint: how many instances it has follows what is asked of it.

https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html,
https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from okkhor.aws.calling import client, is_missing
from okkhor.serving.sagemaker.requests import VARIANT, Call
from okkhor.serving.sagemaker.wanted import Scaling

if TYPE_CHECKING:
    import boto3

SERVICE = "application-autoscaling"
OUT, IN = 60, 300  # seconds between two steps out, and two steps in: an instance takes minutes to come


def _target(name: str) -> dict[str, str]:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/{VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def alarm_name(name: str) -> str:
    """Of the alarm that wakes an endpoint which has no instances."""
    return f"okkhor-{name}-waiting"


def scaling(name: str, wanted: Scaling, mode: str) -> list[Call]:
    """The requests for it; with no instances at all, target tracking has nothing to track, and a step wakes them."""
    register = {**_target(name), "MinCapacity": wanted.least, "MaxCapacity": wanted.most}
    metric: dict[str, Any] = (
        {
            "CustomizedMetricSpecification": {
                "MetricName": "ApproximateBacklogSizePerInstance",
                "Namespace": "AWS/SageMaker",
                "Dimensions": [{"Name": "EndpointName", "Value": name}],
                "Statistic": "Average",
            }
        }
        if mode == "async"
        else {
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        }
    )
    track = {
        **_target(name),
        "PolicyName": f"okkhor-{name}-load",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": float(wanted.load), "ScaleOutCooldown": OUT, "ScaleInCooldown": IN, **metric,
        },
    }  # fmt: skip
    calls = [Call(SERVICE, "RegisterScalableTarget", register), Call(SERVICE, "PutScalingPolicy", track)]
    if wanted.least:
        return calls
    wake = {
        **_target(name),
        "PolicyName": f"okkhor-{name}-wake",
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
            "MetricAggregationType": "Average",
            "Cooldown": IN,
        },
    }
    return [*calls, Call(SERVICE, "PutScalingPolicy", wake)]


def alarm(name: str, policy: str) -> Call:
    """PutMetricAlarm: requests wait, and there is no instance; policy: ARN of the step that it sets off."""
    request = {
        "AlarmName": alarm_name(name),
        "MetricName": "HasBacklogWithoutCapacity",
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": "EndpointName", "Value": name}],
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "missing",
        "AlarmActions": [policy],
    }
    return Call("cloudwatch", "PutMetricAlarm", request)


def is_scaled(session: boto3.Session, name: str) -> bool:
    """Whether auto scaling chooses how many instances an endpoint has."""
    target = _target(name)
    asked = {"ServiceNamespace": target["ServiceNamespace"], "ResourceIds": [target["ResourceId"]]}
    return bool(client(session, SERVICE).describe_scalable_targets(**asked)["ScalableTargets"])


def apply(session: boto3.Session, name: str, wanted: Scaling, mode: str) -> None:
    """Set it, in place of what was set before."""
    remove(session, name)
    autoscaling = client(session, SERVICE)
    for call in scaling(name, wanted, mode):
        if call.operation == "RegisterScalableTarget":
            autoscaling.register_scalable_target(**call.request)
            continue
        policy = autoscaling.put_scaling_policy(**call.request)["PolicyARN"]
        if call.request["PolicyType"] == "StepScaling":
            client(session, "cloudwatch").put_metric_alarm(**alarm(name, policy).request)


def remove(session: boto3.Session, name: str) -> list[str]:
    """Take it away, alarms too; gives what was there."""
    autoscaling, target, gone = client(session, SERVICE), _target(name), []
    asked = {"ServiceNamespace": target["ServiceNamespace"], "ResourceId": target["ResourceId"]}
    for policy in autoscaling.describe_scaling_policies(**asked)["ScalingPolicies"]:
        autoscaling.delete_scaling_policy(**target, PolicyName=policy["PolicyName"])
        gone.append(f"scaling policy {policy['PolicyName']}")
    if is_scaled(session, name):
        try:
            autoscaling.deregister_scalable_target(**target)
        except autoscaling.exceptions.ClientError as error:
            if not is_missing(error):
                raise
        gone.append(f"scalable target {target['ResourceId']}")
    cloudwatch = client(session, "cloudwatch")
    if cloudwatch.describe_alarms(AlarmNames=[alarm_name(name)])["MetricAlarms"]:
        cloudwatch.delete_alarms(AlarmNames=[alarm_name(name)])
        gone.append(f"alarm {alarm_name(name)}")
    return gone
