"""scripts/invoke.py's words for endpoints, and an asynchronous one that answers late, or with what is no answer."""

import pytest

from okkhor.errors import InputError
from okkhor.serving import client


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "small"], "error: --model: goes with --endpoint NAME\n"),
        (["--async"], "error: --async: goes with --endpoint NAME\n"),
        (["--async", "--model", "small", "--endpoint", "letters"], "error: --model: an asynchronous endpoint has one"),
    ],
)
def test_words_that_do_not_go_together(typed, image, words, said):
    done = typed("scripts/invoke.py", str(image), *words)
    assert done.returncode == 2
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


@pytest.fixture
def asynchronous(aws):
    """asynchronous(refuses): an endpoint's description and runtime, which put an answer where a test says."""
    runtime = _Runtime(aws)
    aws.others.append(runtime.offer)
    before, aws.moto = aws.moto, runtime
    runtime.moto = before
    yield runtime
    aws.moto = before


class _Runtime:
    """Takes questions; answers: what it puts into S3 at once, at `place`, or nothing."""

    def __init__(self, aws) -> None:
        self.aws, self.body, self.place = aws, None, "answers/1.out"

    def offer(self, operation, request):
        output = {
            "S3OutputPath": f"s3://{self.aws.bucket}/a/answers",
            "S3FailurePath": f"s3://{self.aws.bucket}/a/failures",
        }
        described = {
            "EndpointName": "letters", "EndpointArn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/letters",
            "EndpointStatus": "InService", "CreationTime": 0, "LastModifiedTime": 0,
            "AsyncInferenceConfig": {"OutputConfig": output},
        }  # fmt: skip
        return (lambda _: described) if operation == "DescribeEndpoint" else None

    def __call__(self, environ, start_response):
        if not environ.get("PATH_INFO", "").endswith("/async-invocations"):
            return self.moto(environ, start_response)
        if self.body is not None:
            self.aws.client("s3").put_object(Bucket=self.aws.bucket, Key=f"a/{self.place}", Body=self.body)
        places = {"Output": "answers/1.out", "Failure": "failures/1.out"}
        told = [(f"X-Amzn-SageMaker-{k}Location", f"s3://{self.aws.bucket}/a/{v}") for k, v in places.items()]
        start_response("202 Accepted", [("Content-Type", "application/json"), ("Content-Length", "2"), *told])
        return [b"{}"]


def keys(aws) -> list[str]:
    return [one["Key"] for one in aws.client("s3").list_objects_v2(Bucket=aws.bucket).get("Contents", [])]


def test_an_answer_that_does_not_come_is_told_with_where_it_will_be(aws, asynchronous, monkeypatch):
    monkeypatch.setattr(client, "POLL_SECONDS", 0.1)
    with pytest.raises(InputError, match=r"no answer within 0.3 seconds; it comes to s3://okkhor-test/a/answers/1.out"):
        client.ask_later("letters", {"image": ""}, timeout=0.3)
    (question,) = keys(aws)  # still needed
    assert question.startswith("a/questions/")


@pytest.mark.parametrize(
    ("place", "body", "found"),
    [
        ("answers/1.out", b'{"heads": {}}', (200, {"heads": {}})),
        (
            "failures/1.out",
            b'Received client error (415) from model with message "{"type": "X"}".',
            (415, {"type": "X"}),
        ),
        (
            "failures/1.out",
            b"Received server error (500) from model",
            (500, {"message": "Received server error (500) from model"}),
        ),
    ],
)
def test_answers_and_refusals_are_read_and_deleted(aws, asynchronous, place, body, found):
    asynchronous.place, asynchronous.body = place, body
    assert client.ask_later("letters", {"image": ""}) == found
    assert keys(aws) == []


def test_a_failure_without_a_status_is_told_in_one_line(aws, asynchronous):
    asynchronous.place, asynchronous.body = "failures/1.out", b"the container\nended"
    assert client.ask_later("letters", {"image": ""}) == (500, {"message": "the container\nended"})
