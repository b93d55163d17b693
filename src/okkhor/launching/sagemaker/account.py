"""The AWS account that jobs run in: sessions of boto3 and of the SDK, what a stack says, errors in one line."""

import importlib.util
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from okkhor.aws import calling
from okkhor.aws.calling import EXPIRED, UNKNOWN, code_of, one_line, open_session
from okkhor.errors import InputError, JobFailedError
from okkhor.launching.exits import REFUSED
from okkhor.launching.sagemaker.options import Options

if TYPE_CHECKING:
    import boto3

ATTEMPTS = 10  # of a request that AWS throttles or a network drops, with growing pauses
# outputs of infra/cloudformation.yaml, and the options that they stand for
OUTPUTS = {
    "BucketName": "bucket",
    "TrainingRoleArn": "role",
    "PrivateSubnetIds": "subnets",
    "TrainingSecurityGroupId": "security_groups",
}
# defaults that the SDK reads from a file of the user would change jobs unseen; and it would tell its maker of each call
SDK_DEFAULTS = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}


@dataclass(frozen=True)
class Account:
    """What all jobs of a launcher have in common. Made by `open_account`; role and bucket may come from a stack."""

    region: str
    role: str
    bucket: str
    prefix: str
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()

    @cached_property
    def boto(self) -> "boto3.Session":
        return boto_session(self.region)

    def client(self, service: str) -> Any:
        return self.boto.client(service)

    def uri(self, *parts: str) -> str:
        """s3://bucket/prefix/parts…"""
        return "/".join((f"s3://{self.bucket}", self.prefix, *parts))


def open_account(options: Options) -> Account:
    """The account that options name; asks AWS only where `launcher.stack` is given.

    Raises InputError for what neither they nor the stack say.
    """
    region = options.region or default_region()
    if region is None:
        raise InputError("launcher.region: none is set; expected launcher.region=eu-west-1 or AWS_DEFAULT_REGION")
    found: dict[str, Any] = {}
    if options.stack is not None:
        found = stack_outputs(options.stack, region)
    chosen = {key: value for key in OUTPUTS.values() if (value := getattr(options, key) or found.get(key)) is not None}
    for key, example in (("role", "arn:aws:iam::123456789012:role/Name"), ("bucket", "NAME")):
        if key not in chosen:
            raise InputError(
                f"launcher.{key}: none is set; expected launcher.{key}={example}, or launcher.stack=NAME of a stack "
                "made of infra/cloudformation.yaml"
            )
    return Account(
        region,
        chosen["role"],
        chosen["bucket"],
        options.prefix,
        tuple(chosen.get("subnets") or ()),
        tuple(chosen.get("security_groups") or ()),
    )


def stack_outputs(name: str, region: str) -> dict[str, Any]:
    """What a stack's outputs say, by the names of options. Raises InputError where there is no such stack."""
    outputs = calling.stack_outputs(boto_session(region), name, f"launcher.stack={name}")
    found: dict[str, Any] = {option: outputs[key] for key, option in OUTPUTS.items() if outputs.get(key)}
    for key in ("subnets", "security_groups"):
        if key in found:
            found[key] = [part for part in found[key].split(",") if part]
    return found


def default_region() -> str | None:
    check_installed()
    import boto3

    return boto3.Session().region_name


def boto_session(region: str) -> "boto3.Session":
    """A session that repeats what is throttled. Raises InputError where boto3 is not installed."""
    check_installed()
    from botocore.config import Config

    session = open_session(region)
    # for the SDK's own clients, too
    session._session.set_default_client_config(Config(retries={"max_attempts": ATTEMPTS, "mode": "standard"}))
    return session


def check_installed() -> None:
    """Raise InputError where the SDK is not installed."""
    try:
        found = importlib.util.find_spec("sagemaker.train")
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise InputError("launcher=sagemaker: the SDK is not installed; expected pip install -e '.[sagemaker]'")


def sdk_session(account: Account, *, offline: bool = False) -> Any:
    """The SDK's own session for an account. offline: nothing is sent; what would be uploaded is only named."""
    quiet()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sagemaker.core.helper.session_helper import Session

    class Offline(Session):
        """Names what it would upload, and asks nobody whether a bucket is there."""

        def default_bucket(self) -> str:
            return account.bucket

        def upload_data(self, path: str, bucket: str | None = None, key_prefix: str = "data", **_: Any) -> str:
            return f"s3://{bucket}/{key_prefix}"

    boto = boto_session(account.region)
    if offline:
        boto.events.register_first("before-call.*.*", _refuse_call)
    return (Offline if offline else Session)(
        boto_session=boto,
        default_bucket=account.bucket,
        default_bucket_prefix=account.prefix,
        sagemaker_config=SDK_DEFAULTS,
    )


def quiet() -> None:
    """The SDK says at each step what is said here once, and asks IAM about a role that the job will try anyway."""
    os.environ.setdefault("SAGEMAKER_VALIDATE_ROLE", "false")
    for name in ("sagemaker", "sagemaker.core", "sagemaker.train", "botocore.credentials"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _refuse_call(model: Any, **_: Any) -> None:
    raise ConnectionError(f"a dry run calls no {model.name}")


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """Raise JobFailedError, as of a job that was refused, for what AWS does not take; what: that was asked."""
    try:
        with one_line(what):
            try:
                yield
            except Exception as error:
                if type(error).__name__ in ("S3UploadFailedError", "RetriesExceededError"):  # s3transfer's own
                    raise (error.__context__ or error) from None
                raise
    except InputError as error:
        raise JobFailedError(str(error), REFUSED) from error


def is_expired(error: Exception) -> bool:
    """Whether credentials are missing, unknown or no longer good: the jobs that they started go on."""
    gone = ("NoCredentialsError", "TokenRetrievalError", "SSOTokenLoadError", "CredentialRetrievalError")
    return code_of(error) in EXPIRED | UNKNOWN or type(error).__name__ in gone
