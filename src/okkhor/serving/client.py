"""Ask a model that is served somewhere: over HTTP, or as a SageMaker endpoint."""

import http.client
import ipaddress
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from okkhor.aws.calling import split_uri
from okkhor.errors import InputError

MAX_ANSWER = 64 << 20  # bytes
JSON = "application/json"
CALL_SECONDS = 30.0  # that a call may take which does not wait for the model
POLL_SECONDS = 1.0  # between two looks for an answer in S3


def ask_url(
    url: str, question: dict[str, Any], *, token: str | None = None, timeout: float = 30.0
) -> tuple[int, dict[str, Any]]:
    """HTTP status and answer of a server, see `okkhor.serving.requests` for what is asked.

    token: for servers that want one; timeout: seconds. Raises InputError when nothing answers there, or not in JSON.
    """
    if not url.startswith(("http://", "https://")):
        raise InputError(f"--url={url}: expected http://… or https://…")
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        request = urllib.request.Request(url, json.dumps(question).encode(), headers)
        with _opener(url).open(request, timeout=timeout) as response:
            return response.status, _answer(url, response.status, response.read(MAX_ANSWER))
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _answer(url, error.code, error.read(MAX_ANSWER))
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = f"within {timeout:g} seconds" if _late(error) else getattr(error, "reason", None) or error
        raise InputError(f"{url}: no answer ({reason}); is the server running? `make serve` starts one") from error


def ask_endpoint(
    name: str, question: dict[str, Any], *, model: str | None = None, timeout: float = 30.0
) -> tuple[int, dict[str, Any]]:
    """HTTP status and answer of a SageMaker endpoint, with the credentials and region that boto3 finds.

    model: the one of a multi-model endpoint. Raises InputError when boto3 is absent, AWS refuses, or nothing answers.
    """
    with _one_line(f"--endpoint={name}"):
        client = _client("sagemaker-runtime", timeout)
        target = {"TargetModel": f"{model.removesuffix('.tar.gz')}.tar.gz"} if model else {}
        try:
            found = client.invoke_endpoint(
                EndpointName=name, ContentType=JSON, Accept=JSON, Body=json.dumps(question).encode(), **target
            )
        except client.exceptions.ModelError as error:  # the container answered, and refused
            status = int(error.response.get("OriginalStatusCode", 400))
            return status, _answer(name, status, error.response.get("OriginalMessage", "").encode())
        return 200, _answer(name, 200, found["Body"].read(MAX_ANSWER))


def ask_later(name: str, question: dict[str, Any], *, timeout: float = 30.0) -> tuple[int, dict[str, Any]]:
    """HTTP status and answer of an asynchronous SageMaker endpoint, which takes and gives files in S3.

    The question is put beside the folder of the answers; both are deleted when the answer has come. timeout: seconds
    to wait for it, minutes where the endpoint has no instance yet. Raises InputError as `ask_endpoint`.
    """
    with _one_line(f"--endpoint={name}"):
        sagemaker, runtime, s3 = (_client(one, CALL_SECONDS) for one in ("sagemaker", "sagemaker-runtime", "s3"))
        described = sagemaker.describe_endpoint(EndpointName=name)
        if "AsyncInferenceConfig" not in described:
            raise InputError(f"--endpoint={name}: answers at once; leave out --async")
        answers = described["AsyncInferenceConfig"]["OutputConfig"]["S3OutputPath"]
        bucket, folder = split_uri(answers)
        key = f"{folder.rpartition('/')[0]}/questions/{uuid.uuid4()}.json".lstrip("/")
        s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(question).encode(), ContentType=JSON)
        asked = runtime.invoke_endpoint_async(
            EndpointName=name, InputLocation=f"s3://{bucket}/{key}", ContentType=JSON, Accept=JSON
        )
        place, body = _first_there(s3, [asked["OutputLocation"], asked.get("FailureLocation")], name, timeout)
        for used in ((bucket, key), place):
            s3.delete_object(Bucket=used[0], Key=used[1])
    return (200, _answer(name, 200, body)) if place == split_uri(asked["OutputLocation"]) else _failure(body)


def _failure(said: bytes) -> tuple[int, dict[str, Any]]:
    """Status and reason, of the sentence that SageMaker writes where no answer came, with the container's words."""
    status = re.search(rb"\((\d{3})\)", said)
    code = int(status[1]) if status else 500
    try:
        answer = json.loads(said[said.find(b"{") : said.rfind(b"}") + 1])
    except ValueError:
        answer = None
    return code, answer if isinstance(answer, dict) else {"message": said.decode("utf-8", "replace")}


def _first_there(s3: Any, uris: list[str | None], name: str, timeout: float) -> tuple[tuple[str, str], bytes]:
    """The first of some files that is there: bucket and key, and what is in it."""
    from botocore.exceptions import ClientError

    give_up = time.monotonic() + timeout
    while True:
        for place in (split_uri(uri) for uri in uris if uri):
            try:
                return place, s3.get_object(Bucket=place[0], Key=place[1])["Body"].read(MAX_ANSWER)
            except ClientError as error:
                if error.response["Error"]["Code"] not in ("NoSuchKey", "404"):
                    raise
        if time.monotonic() > give_up:
            raise InputError(f"--endpoint={name}: no answer within {timeout:g} seconds; it comes to {uris[0]}")
        time.sleep(POLL_SECONDS)


def _client(service: str, timeout: float) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(read_timeout=timeout, connect_timeout=min(timeout, 10), retries={"max_attempts": 1})
    return boto3.Session().client(service, config=config)  # the default one keeps credentials that have changed


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise InputError(f"{what}: boto3 is not installed; pip install -e '.[sagemaker]'") from error
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise InputError(f"{what}: {error}") from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """They would carry the token to another server, and ask it without the image."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Of this machine's servers a proxy knows nothing."""
    host = urllib.parse.urlsplit(url).hostname or ""
    direct = [urllib.request.ProxyHandler({})] if _is_here(host) else []
    return urllib.request.build_opener(_NoRedirects, *direct)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _late(error: Exception) -> bool:
    return isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError)


def _answer(place: str, status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and (status >= 400 or {"heads", "predictions"} & set(answer)):
        return answer
    said = " ".join(body[:200].decode("utf-8", "replace").split()) or "nothing"
    raise InputError(f"{place}: answered {status} with {said!r}; expected JSON of an okkhor model")
