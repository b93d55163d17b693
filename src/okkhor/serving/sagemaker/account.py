"""Role and bucket of an endpoint: as they are named, or as a stack of infra/cloudformation.yaml says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from okkhor.aws.calling import client, is_missing, one_line, stack_outputs
from okkhor.errors import InputError

if TYPE_CHECKING:
    import boto3

ROLE, BUCKET = "HostingRoleArn", "BucketName"  # the stack's outputs


@dataclass(frozen=True)
class Account:
    """Where an endpoint's files lie, and what it may do."""

    role: str
    bucket: str


def of_stack(session: boto3.Session, name: str) -> Account:
    """What a stack's outputs say. Raises InputError for one that is not there, or says less."""
    said = stack_outputs(session, name, f"--stack={name}")
    for key in (ROLE, BUCKET):
        if not said.get(key):
            raise InputError(f"--stack={name}: has no output {key}; expected a stack of infra/cloudformation.yaml")
    return Account(said[ROLE], said[BUCKET])


def role_arn(session: boto3.Session, role: str) -> str:
    """The ARN of a role; role: that, or its name. Raises InputError for a name that is not there."""
    if role.startswith("arn:"):
        return role
    iam = client(session, "iam")
    with one_line(f"--role={role}"):
        try:
            return iam.get_role(RoleName=role)["Role"]["Arn"]
        except iam.exceptions.ClientError as error:
            if is_missing(error):
                raise InputError(f"--role={role}: no such role; expected its name or ARN") from error
            raise
