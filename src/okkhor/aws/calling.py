"""Calls to AWS as a person uses them: the session that boto3 finds, and errors in one line with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from okkhor.errors import InputError

if TYPE_CHECKING:
    import boto3

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
UNKNOWN = frozenset(
    {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
)
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})
LIMITED = frozenset({"ResourceLimitExceeded", "LimitExceededException", "ServiceQuotaExceededException"})
BUSY = frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"})
MISSING = frozenset(
    {"ResourceNotFound", "ResourceNotFoundException", "NoSuchKey", "NoSuchEntity", "404", "ObjectNotFoundException"}
)


def open_session(region: str | None = None) -> boto3.Session:
    """A session with the credentials and the region that boto3 finds; region: another one.

    Raises InputError where boto3 is not installed, and where there is no region.
    """
    try:
        import boto3
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise InputError("boto3 is not installed; pip install -e '.[sagemaker]'") from error
    try:
        session = boto3.Session(region_name=region)
    except BotoCoreError as error:  # a profile that is not there
        raise InputError(f"AWS: {error}") from error
    if not session.region_name:
        raise InputError("AWS: no region; set AWS_REGION, or name one: us-east-1, ap-northeast-2 …")
    return session


def client(session: boto3.Session, service: str, **more: Any) -> Any:
    """A client that waits and asks again when the service is busy."""
    from botocore.config import Config

    return session.client(service, config=Config(retries={"max_attempts": 10, "mode": "standard"}, **more))


@contextmanager
def one_line(what: str) -> Iterator[None]:
    """Raise InputError for what botocore raises inside; what: that was asked, as the person knows it."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoCredentialsError
    except ImportError as error:
        raise InputError(f"{what}: boto3 is not installed; pip install -e '.[sagemaker]'") from error
    try:
        yield
    except ClientError as error:
        raise InputError(f"{what}: {_said(error)}") from error
    except NoCredentialsError as error:
        raise InputError(f"{what}: no AWS credentials; `aws configure`, or set AWS_PROFILE") from error
    except EndpointConnectionError as error:
        raise InputError(f"{what}: {error}; is the region right, is there a network?") from error
    except BotoCoreError as error:
        raise InputError(f"{what}: {error}") from error


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of s3://bucket/key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def stack_outputs(session: boto3.Session, name: str, what: str) -> dict[str, str]:
    """What a CloudFormation stack's outputs say, by their keys; what: the option that names it, as a person knows it.

    Raises InputError where there is no such stack.
    """
    with one_line(what):
        (stack,) = client(session, "cloudformation").describe_stacks(StackName=name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def code_of(error: Exception) -> str:
    """The service's own name of an error, such as `ValidationException`; empty for other exceptions."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def is_missing(error: Exception) -> bool:
    """Whether the service says that what was asked for is not there; SageMaker has no code of its own for it."""
    said = str(getattr(error, "response", {}).get("Error", {}).get("Message", "")).lower()
    gone = ("could not find", "not found", "does not exist", "no scalable target", "no scaling policy")
    return code_of(error) in MISSING or (code_of(error) == "ValidationException" and any(one in said for one in gone))


def _said(error: Any) -> str:
    code, message = code_of(error), error.response.get("Error", {}).get("Message", "")
    if code in EXPIRED:
        return "the AWS credentials have expired; log in again (`aws sso login`), and repeat the command"
    if code in UNKNOWN:
        return f"AWS does not know these credentials ({code}); look at `aws sts get-caller-identity`"
    if code in DENIED:
        return f"not allowed ({message or code}); the user or role lacks this permission"
    if code in LIMITED:
        return (
            f"{message or code}; ask for a higher quota in the console (Service Quotas), or take another instance type"
        )
    if code in BUSY:
        return f"AWS was busy through ten attempts ({code}); wait a little, and repeat the command"
    return f"{message or error} ({code})"
