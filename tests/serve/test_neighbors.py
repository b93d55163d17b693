"""What the real Multi Model Server and SageMaker's real toolkit have in common: the same bundle, the same answers."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import psutil
import pytest

from okkhor.serving.neighbors import free_ports

pytestmark = pytest.mark.serial
JSON = "application/json"
REQUESTS, CLIENTS = 320, 8
# their Java reads forms itself, and answers 500 to some that it cannot read
FORMS = ("multipart/", "application/x-www-form-urlencoded")


@pytest.fixture(params=["mms", "toolkit"])
def neighbor(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def bodies(drawn, png, npy, asked):
    """Bodies of one image, by the content type that they go with."""
    image = drawn(1)
    lossless = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    return {
        "image/png": png(1),
        "image/webp": lossless,
        "application/x-npy": npy(image),
        "application/octet-stream": png(1),
        None: png(1),
        JSON: asked(png(1)),
        f"{JSON}; charset=utf-8": asked(npy(image)),
    }


@pytest.mark.parametrize(
    "kind",
    ["image/png", "image/webp", "application/x-npy", "application/octet-stream", None, JSON, f"{JSON}; charset=utf-8"],
)
def test_bodies_of_each_kind_are_answered_as_the_predictor_answers(
    neighbor, predictor, drawn, bodies, kind, assert_same
):
    answered = neighbor.ask(bodies[kind], kind)
    assert (answered.status, answered.headers["content-type"]) == (200, JSON)
    assert_same(answered.json, predictor.predict([drawn(1)])[0].as_json())
    assert answered.json["milliseconds"] > 0


def test_a_jpeg_is_read_with_the_same_decoder(neighbor, predictor, drawn, assert_same):
    jpeg = cv2.imencode(".jpg", cv2.resize(drawn(7), (620, 410)))[1].tobytes()
    assert_same(neighbor.ask(jpeg, "image/jpeg").json, predictor.predict([jpeg])[0].as_json())


def test_instances_and_activation_maps(neighbor, predictor, drawn, png, asked, assert_same):
    image = json.loads(asked(png(3)))
    body = {"instances": [image, {"image": "!"}, {}], "top": 2, "explain": True}
    answered = neighbor.ask(json.dumps(body).encode(), JSON)
    assert answered.status == 200
    first, second, third = answered.json["predictions"]
    (expected,) = predictor.predict([drawn(3)], top=2, explain=True)
    assert_same(first, expected.as_json())
    for head, values in expected.activation_maps.items():
        np.testing.assert_allclose(first["activation_maps"][head], values, atol=1e-3)
    assert (second["type"], third["type"]) == ("NotBase64", "BadRequest")


@pytest.mark.parametrize(
    ("body", "kind", "status", "type"),
    [
        (b"nonsense", "image/png", 400, "NotAnImage"),
        (b"", "image/png", 400, "NotAnImage"),
        (None, None, 400, "NotAnImage"),
        (b"{", JSON, 400, "BadJSON"),
        (b"", JSON, 400, "BadJSON"),
        (b"\xff\xfe{}", JSON, 400, "BadJSON"),
        (b"[" * 50_000, JSON, 400, "BadJSON"),
        (b"{}", JSON, 400, "BadRequest"),
        (b'{"image": 5}', JSON, 400, "BadRequest"),
        (b'{"image": "!!"}', JSON, 400, "NotBase64"),
        (b"1,2,3", "text/csv", 415, "UnsupportedType"),
        (b"GIF89a", "image/png", 415, "UnsupportedType"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(neighbor, fuzz, body, kind, status, type):
    answered = neighbor.ask(body, kind)
    assert (answered.status, answered.json["type"]) == (status, type)
    assert answered.headers["content-type"] == JSON
    assert fuzz.explained(answered)


def test_a_broken_image_is_refused_and_the_next_one_is_answered(neighbor, predictor, drawn, png, assert_same):
    for cut in (20, 60, len(png(2)) // 2, len(png(2)) - 6):
        refused = neighbor.ask(png(2)[:cut])
        assert (refused.status, refused.json["type"]) == (400, "NotAnImage")
        assert_same(neighbor.ask(png(2)).json, predictor.predict([drawn(2)])[0].as_json())


def test_different_requests_at_once_are_not_mixed_up(neighbor, predictor, drawn, png, asked, assert_same):
    tops = [1 + i % 4 for i in range(48)]
    with ThreadPoolExecutor(12) as pool:
        every = list(pool.map(lambda i: neighbor.ask(asked(png(i), top=tops[i]), JSON), range(48)))
    for i, answered in enumerate(every):
        assert_same(answered.json, predictor.predict([drawn(i)], top=tops[i])[0].as_json())
    assert len({json.dumps(answered.json["heads"]) for answered in every}) == 48


def test_malformed_requests_by_the_hundred_end_no_worker(neighbor, fuzz, predictor, drawn, png, assert_same):
    random = np.random.default_rng(20_261_124)
    makers = [make for make in fuzz.MAKERS if make is not fuzz.too_large]  # each server has its own limit
    cases = [makers[i % len(makers)](random, png(0)) for i in range(REQUESTS)]
    cases = [case for case in cases if not (case[1] or "").startswith(FORMS)]
    assert len(cases) > REQUESTS * 0.9
    before = neighbor.processes()
    (expected,) = predictor.predict([drawn(0)])

    def send(number: int) -> str | None:
        body, kind = cases[number]
        try:
            answered = neighbor.ask(body, kind)
        except ConnectionError as error:
            # Java hangs up on a header that is none, sometimes before it has read the body
            return None if "\x7f" in (kind or "") else f"{body[:60]} {kind} {error!r}"
        if number % 10 == 0:
            assert_same(neighbor.ask(png(0)).json, expected.as_json())
        refused = 400 <= answered.status < 500 and fuzz.explained(answered)
        return None if refused else f"{body[:60]} {kind} {answered.status} {answered.body[:200]}"

    with ThreadPoolExecutor(CLIENTS) as pool:
        wrong = [said for said in pool.map(send, range(len(cases))) if said]
    assert not wrong, "\n".join(wrong[:20])
    assert neighbor.processes() == before


def test_it_listens_on_loopback_alone(neighbor):
    found = neighbor.listening()
    assert len(found) >= 2  # requests, and management or metrics
    assert {address for address, _ in found} == {"127.0.0.1"}


def test_it_is_healthy_when_asked_as_load_balancers_do(neighbor):
    answered = neighbor.ask(None, None, "/ping", method="GET")
    assert (answered.status, answered.json["status"]) == (200, "Healthy")


def workers(neighbor) -> set[int]:
    """Process ids; Multi Model Server has one that the others are forked from."""
    found = {pid for pid, line in neighbor.processes().items() if "model_service_worker" in line}
    return found - {psutil.Process(pid).ppid() for pid in found}


def test_a_killed_worker_comes_back_and_answers(neighbor, png):
    """Both, one after the other: in the end only new ones can have answered."""
    before = workers(neighbor)
    assert len(before) == 2
    for victim in before:
        os.kill(victim, signal.SIGKILL)
        give_up, statuses = time.monotonic() + 60, []
        while victim in (now := workers(neighbor)) or len(now) < 2 or statuses[-1] != 200:
            assert time.monotonic() < give_up, "no worker came in its place"
            statuses.append(neighbor.ask(png(0)).status)
        assert sum(status != 200 for status in statuses) <= 1  # what was handed to the dead
    assert workers(neighbor).isdisjoint(before)
    assert neighbor.ask(png(0)).status == 200


def test_free_ports_are_different_and_free():
    import socket

    found = free_ports(20)
    assert len(set(found)) == 20
    for port in found:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
