"""Asking a server over real HTTP, and a SageMaker endpoint through boto3, which is pointed at this machine."""

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from okkhor.errors import InputError
from okkhor.serving.client import ask_endpoint, ask_url

ANSWER = {"grapheme": "ক", "confidence": 0.9, "heads": {"root": [{"class": 13, "text": "ক", "probability": 0.9}]}}
QUESTION = {"image": "aW1hZ2U=", "top": 5, "explain": False}


@dataclass
class Place:
    """A server that answers all requests alike; requests: path, headers, body of each."""

    url: str
    status: int = 200
    body: bytes = json.dumps(ANSWER).encode()
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def places():
    servers = []

    def make() -> Place:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                place.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                time.sleep(place.delay)
                self.send_response(place.status)
                for name, value in {**place.headers, "Content-Length": str(len(place.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(place.body)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_):
                pass

            def handle(self):
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # of a client that did not wait
                    super().handle()

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        place = Place(f"http://127.0.0.1:{server.server_port}/predictions/okkhor")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        servers.append((server, thread))
        return place

    yield make
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def place(places) -> Place:
    return places()


def test_question_and_token_arrive_and_the_answer_comes_back(place):
    assert ask_url(place.url, QUESTION, token="abc") == (200, ANSWER)
    ((path, headers, body),) = place.requests
    assert path == "/predictions/okkhor"
    assert json.loads(body) == QUESTION
    assert (headers["content-type"], headers["authorization"]) == ("application/json", "Bearer abc")


def test_a_refusal_is_an_answer(place):
    place.status, place.body = 422, b'{"code": 422, "type": "NoInk", "message": "no ink"}'
    assert ask_url(place.url, QUESTION) == (422, {"code": 422, "type": "NoInk", "message": "no ink"})


def test_this_machine_s_servers_are_asked_without_the_proxy(place, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert ask_url(place.url, QUESTION)[0] == 200
    assert ask_url(place.url.replace("127.0.0.1", "localhost"), QUESTION)[0] == 200


def test_a_redirect_is_not_followed_and_the_token_not_handed_on(places):
    place, other = places(), places()
    place.status, place.headers, place.body = 302, {"Location": other.url}, b""
    with pytest.raises(InputError, match="answered 302 with 'nothing'; expected JSON of an okkhor model"):
        ask_url(place.url, QUESTION, token="abc")
    assert other.requests == []


@pytest.mark.parametrize("body", [b"<html>hello", b"[]", b'{"status": "Healthy"}', b"\xff\xfe"])
def test_what_is_no_answer_of_ours_is_told_in_one_line(place, body):
    place.body = body
    with pytest.raises(InputError, match=r"answered 200 with .*; expected JSON of an okkhor model") as told:
        ask_url(place.url, QUESTION)
    assert "\n" not in str(told.value)


def test_who_does_not_answer_is_told_in_one_line(place):
    place.delay = 1.0
    with pytest.raises(InputError, match=r"no answer \(within 0.2 seconds\); is the server running"):
        ask_url(place.url, QUESTION, timeout=0.2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        with pytest.raises(InputError, match=r"no answer .*refused"):
            ask_url(f"http://127.0.0.1:{taken.getsockname()[1]}/predictions/okkhor", QUESTION)
    with pytest.raises(InputError, match="expected http://"):
        ask_url("file:///etc/passwd", QUESTION)


@pytest.fixture
def endpoint(place, monkeypatch) -> Place:
    pytest.importorskip("boto3")
    for name, value in {
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": place.url.removesuffix("/predictions/okkhor"),
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    return place


def test_an_endpoint_is_asked_with_aws_s_signature(endpoint):
    assert ask_endpoint("letters", QUESTION) == (200, ANSWER)
    ((path, headers, body),) = endpoint.requests
    assert path == "/endpoints/letters/invocations"
    assert json.loads(body) == QUESTION
    assert headers["content-type"] == "application/json"
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=test/")


@pytest.mark.parametrize("name", ["small", "small.tar.gz"])
def test_one_of_several_models_is_asked_by_its_name(endpoint, name):
    assert ask_endpoint("letters", QUESTION, model=name) == (200, ANSWER)
    ((_, headers, _),) = endpoint.requests
    assert headers["x-amzn-sagemaker-target-model"] == "small.tar.gz"


def test_an_endpoint_s_refusal_is_the_container_s_own(endpoint):
    said = {"code": 415, "type": "UnsupportedType", "message": "this is GIF"}
    endpoint.status, endpoint.headers = 424, {"x-amzn-ErrorType": "ModelError", "Content-Type": "application/json"}
    endpoint.body = json.dumps({"OriginalStatusCode": 415, "OriginalMessage": json.dumps(said)}).encode()
    assert ask_endpoint("letters", QUESTION) == (415, said)


def test_an_endpoint_that_is_not_there_is_told_in_one_line(endpoint):
    endpoint.status, endpoint.headers = 400, {"x-amzn-ErrorType": "ValidationError", "Content-Type": "application/json"}
    endpoint.body = b'{"message": "Endpoint letters of account 123 not found."}'
    with pytest.raises(InputError, match=r"--endpoint=letters: .*Endpoint letters of account 123 not found"):
        ask_endpoint("letters", QUESTION)
