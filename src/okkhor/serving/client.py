"""Ask a model that is served somewhere: over HTTP, or as a SageMaker endpoint."""

import http.client
import ipaddress
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from okkhor.errors import InputError

MAX_ANSWER = 64 << 20  # bytes


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


def ask_endpoint(name: str, question: dict[str, Any], *, timeout: float = 30.0) -> tuple[int, dict[str, Any]]:
    """HTTP status and answer of a SageMaker endpoint, with the credentials and region that boto3 finds.

    Raises InputError when boto3 is absent, AWS refuses, or nothing answers.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise InputError("--endpoint: boto3 is not installed; pip install -e '.[sagemaker]'") from error
    config = Config(read_timeout=timeout, connect_timeout=min(timeout, 10), retries={"max_attempts": 1})
    body = json.dumps(question).encode()
    try:
        client = boto3.client("sagemaker-runtime", config=config)
        found = client.invoke_endpoint(
            EndpointName=name, ContentType="application/json", Accept="application/json", Body=body
        )
        return 200, _answer(name, 200, found["Body"].read(MAX_ANSWER))
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ModelError":  # the container answered, and refused
            status = int(error.response.get("OriginalStatusCode", 400))
            return status, _answer(name, status, error.response.get("OriginalMessage", "").encode())
        raise InputError(f"--endpoint={name}: {error}") from error
    except BotoCoreError as error:
        raise InputError(f"--endpoint={name}: {error}") from error


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
