"""The real Multi Model Server and SageMaker's real toolkit: the same bundle, the same answers, no traceback."""

import base64
import http.client
import io
import json
import tarfile
import urllib.parse

import cv2
import numpy as np
import psutil
import pytest

from okkhor.errors import InputError
from okkhor.serving.archives.mms import write_mms
from okkhor.serving.archives.sagemaker import write_sagemaker
from okkhor.serving.bundle import Bundle
from okkhor.serving.neighbors import multi_model_server, python_of, sagemaker_toolkit

pytestmark = pytest.mark.serial
JSON = "application/json"
SERVERS = {"mms": (write_mms, multi_model_server), "sagemaker": (write_sagemaker, sagemaker_toolkit)}


def ask(url, body, kind):
    """Status, content type and body of an answer."""
    at = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=60)
    try:
        connection.request("POST", at.path, body, {"Content-Type": kind})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read()
    finally:
        connection.close()


@pytest.fixture(scope="module", params=SERVERS)
def url(request, tmp_path_factory, handmade):
    write, serve = SERVERS[request.param]
    try:
        python_of(request.param)
    except InputError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp(request.param)
    archive = write(Bundle.open(handmade), "onnx", folder / "archives")
    before = java()
    with serve(archive, folder) as found:
        assert java() > before
        yield found
    assert java() == before  # the toolkit's cuts loose from what started it


def java() -> set[int]:
    return {one.pid for one in psutil.process_iter(["name"]) if one.info["name"] == "java"}


def same(answer, expected):
    assert answer["grapheme"] == expected["grapheme"]
    for head, choices in expected["heads"].items():
        assert [one["class"] for one in answer["heads"][head]] == [one["class"] for one in choices]
        found = [one["probability"] for one in answer["heads"][head]]
        np.testing.assert_allclose(found, [one["probability"] for one in choices], atol=1e-5)


def npy(image):
    file = io.BytesIO()
    np.save(file, image)
    return file.getvalue()


def test_bodies_of_each_kind_are_answered_as_the_predictor_answers(url, predictor, drawn):
    image = drawn(1)
    png = cv2.imencode(".png", image)[1].tobytes()
    asked = json.dumps({"image": base64.b64encode(png).decode()}).encode()
    expected = predictor.predict([image])[0].as_json()
    for body, kind in ((png, "image/png"), (npy(image), "application/x-npy"), (asked, JSON)):
        status, answered, answer = ask(url, body, kind)
        assert (status, answered.partition(";")[0]) == (200, JSON)
        same(json.loads(answer), expected)


def test_instances_and_activation_maps(url, predictor, drawn, png):
    image = base64.b64encode(png(3)).decode()
    body = {"instances": [{"image": image}, {"image": "!"}], "top": 2, "explain": True}
    status, _, answer = ask(url, json.dumps(body).encode(), JSON)
    assert status == 200
    first, second = json.loads(answer)["predictions"]
    (expected,) = predictor.predict([drawn(3)], top=2, explain=True)
    same(first, expected.as_json())
    assert set(first["activation_maps"]) == set(first["heads"])
    assert second["type"] == "NotBase64"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"nonsense", "image/png", 400),
        (b"{", JSON, 400),
        (b"\xff\xfe{}", JSON, 400),
        (b"[" * 50_000, JSON, 400),
        (b"{}", JSON, 400),
        (b"x", "text/plain", 415),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason_and_no_traceback(url, drawn, body, kind, status):
    found, _, answer = ask(url, body, kind)
    assert found == status
    assert set(json.loads(answer)) == {"code", "type", "message"}  # and nothing after it
    assert ask(url, npy(drawn(2)), "application/x-npy")[0] == 200


def test_the_same_bundle_makes_the_same_archive_for_sagemaker(tmp_path, handmade):
    first, second = (write_sagemaker(Bundle.open(handmade), "onnx", tmp_path / name) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as archive:
        names = archive.getnames()
    assert {"code/inference.py", "code/okkhor/serving/service.py", "bundle/bundle.yaml"} <= set(names)
    assert list(tmp_path.glob("*/.archiving-*")) == []
