"""One reading of requests for every server: what is asked, and the status and JSON of what is answered."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from okkhor.serving.answers import Answer, Choice, Refusal, Refused
from okkhor.serving.requests import MAX_INSTANCES, read_request

IMAGE = base64.b64encode(b"an image").decode()
ANSWER = Answer("ক", 0.5, {"root": [Choice(1, "ক", 0.5)]}, {"name": "okkhor"}, 1.0)


def body(**fields):
    return json.dumps(fields).encode()


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "image/webp", "application/x-npy", "IMAGE/PNG; q=1", None])
def test_raw_bodies_are_one_image(kind):
    request = read_request(b"pixels", kind)
    assert request.images == [b"pixels"]
    assert not request.many
    assert request.answered([ANSWER]) == (200, ANSWER.as_json())


@pytest.mark.parametrize("sent", [body(image=IMAGE, top=2, explain=True), {"image": IMAGE, "top": 2, "explain": True}])
def test_json_as_bytes_or_parsed_already(sent):
    request = read_request(sent, "application/json; charset=utf-8")
    assert (request.images, request.top, request.explain) == ([IMAGE], 2, True)


def test_json_is_known_without_its_content_type():
    assert read_request(body(image=IMAGE), "application/octet-stream").images == [IMAGE]
    assert read_request(body(image=IMAGE).decode(), None).images == [IMAGE]


def test_the_server_may_mean_explanations():
    assert read_request(b"pixels", "image/png", explain=True).explain
    assert not read_request(body(image=IMAGE, explain=False), "application/json", explain=True).explain


def test_instances_are_answered_in_their_order():
    request = read_request(body(instances=[{"image": IMAGE}, {"picture": 1}, 7, {"image": IMAGE}]), "application/json")
    assert len(request.images) == 2
    status, shown = request.answered([ANSWER, Refusal(422, "NoInk", "no ink")])
    assert status == 200
    assert [one.get("code", 200) for one in shown["predictions"]] == [200, 400, 400, 422]


def test_one_refusal_gives_its_status():
    request = read_request(body(image=IMAGE), "application/json")
    assert request.answered([Refusal(422, "NoInk", "no ink")])[0] == 422


@pytest.mark.parametrize(
    ("sent", "kind", "code"),
    [
        (b"pixels", "text/plain", 415),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"\xff\xfe{", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b"{}", "application/json", 400),
        # parsed already, by the server
        (None, "application/json", 400),
        (10**12, "application/json", 400),
        ([{"image": IMAGE}], "application/json", 400),
        ("text", "application/json", 400),
        (body(image=5), "application/json", 400),
        (body(image=IMAGE, top=0), "application/json", 400),
        (body(image=IMAGE, top=True), "application/json", 400),
        (body(image=IMAGE, top=1.5), "application/json", 400),
        (body(image=IMAGE, top=10**30), "application/json", 400),
        (body(image=IMAGE, explain="yes"), "application/json", 400),
        (body(instances={}), "application/json", 400),
        (body(instances=[]), "application/json", 400),
        (body(instances=[{}] * (MAX_INSTANCES + 1)), "application/json", 400),
        (bytes(30 << 20), "image/png", 413),
    ],
)
def test_what_cannot_be_understood_is_refused(sent, kind, code):
    with pytest.raises(Refused) as refused:
        read_request(sent, kind)
    assert refused.value.refusal.code == code


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["image", "instances", "top"]), inner),
)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.booleans())
def test_any_json_is_understood_or_refused(value, parsed):
    try:
        request = read_request(value if parsed else json.dumps(value), "application/json")
    except Refused:
        return
    assert all(isinstance(item, str) for item in request.images)
    assert len(request.items) == 1 or request.many
