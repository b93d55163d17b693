"""What AWS refuses, in one line with what to do; the local AWS refuses as AWS does."""

import pytest

from okkhor.aws.calling import client, is_missing, one_line, open_session
from okkhor.errors import InputError


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("ExpiredTokenException", "the AWS credentials have expired; log in again"),
        ("UnrecognizedClientException", "AWS does not know these credentials"),
        ("AccessDeniedException", "not allowed (ordered by a test)"),
        ("ResourceLimitExceeded", "ask for a higher quota"),
        ("SomethingElse", "ordered by a test (SomethingElse)"),
    ],
)
def test_each_refusal_says_what_to_do(aws, code, said):
    aws.fail("ListModels", code, times=20)
    with pytest.raises(InputError) as told, one_line("--name=letters"):
        client(open_session(), "sagemaker").list_models()
    assert str(told.value).startswith("--name=letters: ")
    assert said in str(told.value)


def test_what_is_not_there_is_known_from_other_refusals(aws):
    s3, iam = client(open_session(), "s3"), client(open_session(), "iam")
    for ask in (
        lambda: s3.head_object(Bucket=aws.bucket, Key="none"),
        lambda: s3.get_object(Bucket=aws.bucket, Key="none"),
        lambda: iam.get_role(RoleName="none"),
    ):
        with pytest.raises(s3.exceptions.ClientError) as told:
            ask()
        assert is_missing(told.value)
    aws.expire_credentials()
    with pytest.raises(s3.exceptions.ClientError) as told:
        s3.get_object(Bucket=aws.bucket, Key="none")
    assert not is_missing(told.value)


def test_without_credentials_region_or_a_way_there(aws, monkeypatch):
    session = open_session("eu-west-1")
    assert session.region_name == "eu-west-1"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(InputError, match="is the region right, is there a network"), one_line("--name=x"):
        session.client("sagemaker", config=_once()).list_models()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(InputError, match="no AWS credentials; `aws configure`"), one_line("--name=x"):
        client(open_session(), "sagemaker").list_models()
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    with pytest.raises(InputError, match="AWS: no region; set AWS_REGION"):
        open_session()
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(InputError, match=r"AWS: The config profile \(nobody\) could not be found"):
        open_session()


def _once():
    from botocore.config import Config

    return Config(retries={"max_attempts": 0})
