"""Refusals of the local AWS that a test has ordered, written as the service that was asked writes them.

A double: throttling and expired credentials cannot be had from moto, which takes any request.
"""

import json
from dataclasses import dataclass
from xml.sax.saxutils import escape

STATUS = {"ThrottlingException": 400, "SlowDown": 503, "ExpiredToken": 400, "InternalServerError": 500}
JSON_NAME = {"ExpiredToken": "ExpiredTokenException"}


class RefusedError(Exception):
    """A request that a service does not take: its code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Fault:
    """What the next `times` requests of an operation are answered with."""

    operation: str
    code: str
    times: int
    message: str


@dataclass(frozen=True)
class Refusal:
    """An answer of HTTP."""

    status: int
    kind: str
    body: bytes


def refusal(service: str, target: str, code: str, message: str) -> Refusal:
    """An error in the protocol of a service: JSON where a target is named, else S3's XML or the query protocol's."""
    status = STATUS.get(code, 400 if target or service != "s3" else 403)
    if target:
        body = json.dumps({"__type": JSON_NAME.get(code, code), "message": message})
        return Refusal(status, "application/x-amz-json-1.1", body.encode())
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if service == "s3":
        return Refusal(status, "application/xml", f"<Error>{error}</Error>".encode())
    whole = f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error><RequestId>0</RequestId></ErrorResponse>"
    return Refusal(403 if code == "ExpiredToken" else status, "text/xml", whole.encode())
