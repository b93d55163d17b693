"""What goes wrong half-way, in this process: serverless endpoints, whose containers start only when they are asked."""

import pytest

from okkhor.aws.calling import open_session
from okkhor.errors import InputError, JobFailedError
from okkhor.serving.sagemaker import endpoint, existing
from okkhor.serving.sagemaker.requests import Placed
from okkhor.serving.sagemaker.wanted import Store, Wanted

pytest.importorskip("sagemaker.core", reason="the SDK is in the extra: pip install -e '.[sagemaker]'")
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/okkhor:1"


@pytest.fixture
def account(aws):
    """Endpoints of the local AWS, none of which starts a container here."""
    from aws.endpoints import Hosting

    found = Hosting(aws)
    yield found
    found.close()
    assert found.containers == []


@pytest.fixture
def deploy(aws, account, tmp_path):
    """deploy(memory=2048, …): a serverless endpoint `letters`, new or updated."""
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(b"an archive")

    def run(**wanted) -> None:
        session, store, at = open_session(), Store.of(aws.bucket, "letters"), endpoint.stamp()
        there = existing.find(session, "letters")
        placed = Placed(
            Wanted("letters", mode="serverless", **wanted), store, at, IMAGE, aws.role,
            endpoint.archive_of(store, at, "serverless"),
        )  # fmt: skip
        endpoint.deploy(session, placed, "serverless", there, {"": archive}, say=lambda _: None)

    return run


def left(aws, account) -> list[int]:
    """How many there are: endpoints, models, configurations, files."""
    files = aws.client("s3").list_objects_v2(Bucket=aws.bucket)["KeyCount"]
    return [len(account.endpoints), *map(len, account.requests.values()), files]


@pytest.mark.parametrize("operation", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"])
def test_a_request_that_is_refused_takes_back_those_before_it(aws, account, deploy, operation):
    from botocore.exceptions import ClientError

    aws.fail(operation, "ResourceLimitExceeded")
    with pytest.raises(ClientError, match="ResourceLimitExceeded"):
        deploy()
    assert left(aws, account) == [0, 0, 0, 0]


def test_a_service_that_is_busy_is_asked_again(aws, account, deploy):
    aws.fail("CreateEndpointConfig", "ThrottlingException", times=2)
    deploy()
    assert left(aws, account) == [1, 1, 1, 1]


def test_an_update_that_is_refused_leaves_what_was_there(aws, account, deploy):
    from botocore.exceptions import ClientError

    deploy(memory=2048)
    before = {kind: set(made) for kind, made in account.requests.items()}
    aws.fail("UpdateEndpoint", "ResourceLimitExceeded")
    with pytest.raises(ClientError, match="ResourceLimitExceeded"):
        deploy(memory=4096)
    assert {kind: set(made) for kind, made in account.requests.items()} == before
    assert left(aws, account) == [1, 1, 1, 1]


def test_an_update_keeps_what_is_not_said(account, deploy):
    deploy(memory=2048, concurrency=7)
    deploy(concurrency=9)
    (configuration,) = account.requests["EndpointConfig"].values()
    assert configuration["ProductionVariants"][0]["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 9}
    assert account.endpoints["letters"].configuration["EndpointConfigName"] == configuration["EndpointConfigName"]


def test_what_interrupted_deployments_have_left_goes_with_the_next_and_with_the_endpoint(aws, account, deploy):
    deploy()
    (model,), (configuration,) = account.requests["Model"].values(), account.requests["EndpointConfig"].values()
    for i in range(5):  # more than a page
        account.requests["Model"][f"letters-{i}"] = model | {"ModelName": f"letters-{i}"}
        account.requests["EndpointConfig"][f"letters-{i}"] = configuration | {"EndpointConfigName": f"letters-{i}"}
    account.requests["Model"]["letters-theirs"] = {**model, "ModelName": "letters-theirs", "Tags": []}
    deploy()
    assert left(aws, account) == [1, 2, 1, 1]
    said = []
    endpoint.delete(open_session(), "letters", said.append)
    assert list(account.requests["Model"]) == ["letters-theirs"]
    assert left(aws, account) == [0, 1, 0, 0]
    assert len(said) == 4  # endpoint, configuration, model, files


def test_the_rest_of_an_endpoint_that_somebody_has_deleted_goes_as_well(aws, account, deploy):
    deploy()
    aws.client("sagemaker").delete_endpoint(EndpointName="letters")
    for thread in account.threads:
        thread.join()
    assert left(aws, account) == [0, 1, 1, 1]
    endpoint.delete(open_session(), "letters", lambda _: None)
    assert left(aws, account) == [0, 0, 0, 0]
    with pytest.raises(InputError, match="no such endpoint in us-east-1, and nothing left of one"):
        endpoint.delete(open_session(), "letters", lambda _: None)


def test_one_that_somebody_has_half_deleted_is_found_and_goes(aws, account, deploy):
    deploy()
    account.requests["EndpointConfig"].clear()
    assert existing.find(open_session(), "letters").mode == "real-time"  # what it was nobody knows
    endpoint.delete(open_session(), "letters", lambda _: None)
    assert left(aws, account) == [0, 0, 0, 0]


def test_an_update_that_is_rolled_back_says_why(aws, account, deploy, monkeypatch):
    deploy()

    def rolled_back(found, *_) -> None:
        found.status, found.reason = "InService", "the ping health check failed"

    monkeypatch.setattr(account, "_take_over", rolled_back)
    with pytest.raises(JobFailedError, match="rolled back, the old one answers: the ping health check failed"):
        deploy(memory=4096)
    assert left(aws, account) == [1, 1, 1, 1]
