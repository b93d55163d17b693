"""Requests against botocore's description of the services: what it says, and botocore's own checks beside it."""

import copy

import pytest

pytest.importorskip("botocore", reason="botocore is in the extra: pip install -e '.[sagemaker]'")

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from okkhor.aws.service_model import check, faults
from okkhor.errors import InputError

GOOD = {
    "EndpointConfigName": "letters-1",
    "ProductionVariants": [
        {"VariantName": "all", "ModelName": "letters-1", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1},
    ],
    "DataCaptureConfig": {
        "EnableCapture": False,
        "InitialSamplingPercentage": 0,
        "DestinationS3Uri": "s3://bucket/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    },
    "Tags": [{"Key": "team", "Value": "অকর and letters @ 3:4"}],
}


def changed(path: tuple, value: object) -> dict:
    """GOOD with another value; None: without."""
    request = copy.deepcopy(GOOD)
    inner = request
    for key in path[:-1]:
        inner = inner[key]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return request


def test_what_is_right_is_taken():
    assert faults("sagemaker", "CreateEndpointConfig", GOOD) == []
    check("sagemaker", "CreateEndpointConfig", GOOD)


VARIANT = ("ProductionVariants", 0)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("EndpointConfigName",), None, "EndpointConfigName: missing"),
        ((*VARIANT, "VariantName"), None, "ProductionVariants[0].VariantName: missing"),
        (("Colour",), "red", "Colour: unknown"),
        ((*VARIANT, "ModelName"), 3, "ProductionVariants[0].ModelName: 3 is int, expected string"),
        ((*VARIANT, "InitialInstanceCount"), True, "True is bool, expected integer"),
        (("ProductionVariants",), [], "ProductionVariants: 0 items, at least 1"),
        ((*VARIANT, "InitialInstanceCount"), 0, "ProductionVariants[0].InitialInstanceCount: 0, at least 1"),
        (("DataCaptureConfig", "InitialSamplingPercentage"), 101, "101, at most 100"),
        (("EndpointConfigName",), "n" * 64, "EndpointConfigName: 64 characters, at most 63"),
        (("EndpointConfigName",), "a_b", "EndpointConfigName: 'a_b' does not match"),
        ((*VARIANT, "InstanceType"), "ml.m5.lrge", "is none of ml.m5.large, ml.m5.xlarge"),
        (("Tags", 0, "Value"), "<b>", "Tags[0].Value: '<b>' does not match"),
        (("Tags", 0, "Value"), "অক্ষর", "does not match"),  # a mark that joins is neither letter nor number
    ],
)
def test_what_is_wrong_is_told_with_its_path(path, value, said):
    (found,) = [one for one in faults("sagemaker", "CreateEndpointConfig", changed(path, value)) if said in one]
    assert "\n" not in found
    with pytest.raises(InputError, match="CreateEndpointConfig: the service would refuse it"):
        check("sagemaker", "CreateEndpointConfig", changed(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("EndpointConfigName",), None),
        ((*VARIANT, "ModelName"), 3),
        (("Colour",), "red"),
        (("ProductionVariants",), "x"),
    ],
)
def test_what_botocore_refuses_is_refused_here(path, value):
    shape = ServiceModel(Loader().load_service_model("sagemaker", "service-2")).operation_model("CreateEndpointConfig")
    request = changed(path, value)
    assert ParamValidator().validate(request, shape.input_shape).has_errors()
    assert faults("sagemaker", "CreateEndpointConfig", request)


def test_maps_are_looked_into():
    request = {
        "ModelName": "letters",
        "PrimaryContainer": {"Environment": {"GOOD_NAME": "1", "bad name": "1", "LONG": "x" * 1025}},
    }
    found = faults("sagemaker", "CreateModel", request)
    assert any("key: 'bad name' does not match" in one for one in found)
    assert any(one.startswith("PrimaryContainer.Environment.LONG: 1,025 characters, at most 1,024") for one in found)
    assert len(found) == 2


def test_a_long_value_is_cut():
    (found,) = faults("sagemaker", "CreateModel", {"ModelName": "a" + "é" * 50})
    assert len(found) < 250
