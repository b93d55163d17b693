"""What is Multi Model Server's own; see test_neighbors.py for what it has in common with others."""

import pytest

from okkhor.serving.torchserve.settings import MAX_REQUEST

pytestmark = pytest.mark.serial
JSON = "application/json"


@pytest.mark.parametrize("body", [b"{", b'{"image": ', b"\xff\xfe{}", b"[" * 50_000, b"", b'{"image": "!!"}', b"null"])
def test_json_that_is_none_leaves_the_worker_alive(mms, fuzz, png, body):
    """Where the server parses JSON itself, each of the first five costs a worker."""
    before = mms.processes()
    for _ in range(4):  # each worker gets some
        refused = mms.ask(body, JSON)
        assert refused.status == 400
        assert fuzz.explained(refused)
    assert mms.ask(png(0)).status == 200
    assert mms.processes() == before


def test_a_form_is_answered_too(mms, predictor, drawn, png, assert_same):
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    answered = mms.ask(head + png(2) + b"\r\n--b--\r\n", "multipart/form-data; boundary=b")
    assert answered.status == 200
    assert_same(answered.json, predictor.predict([drawn(2)])[0].as_json())


def test_the_header_explain_asks_for_activation_maps(mms, png):
    assert set(mms.ask(png(3), Explain="true").json["activation_maps"]) == {"root", "vowel", "consonant"}
    assert "activation_maps" not in mms.ask(png(3)).json


def test_what_the_query_says_does_not_stand_in_the_way_of_the_body(mms, predictor, drawn, png, assert_same):
    answered = mms.ask(png(4), path="/predictions/okkhor?data=nonsense&top=1")
    assert_same(answered.json, predictor.predict([drawn(4)])[0].as_json())


def test_what_is_larger_than_a_request_may_be_is_413(mms, png):
    assert mms.ask(b"\0" * MAX_REQUEST).status == 400
    assert mms.ask(b"\0" * (MAX_REQUEST + 1)).status == 413
    assert mms.ask(png(0)).status == 200


def test_a_model_that_is_not_there_is_404(mms, png):
    assert mms.ask(png(0), path="/predictions/nobody").status == 404


def test_models_are_managed_on_the_other_port_alone(mms):
    refused = mms.ask(None, None, "/models?url=https://example.org/a.mar")
    assert refused.status == 404


def test_a_model_that_cannot_be_loaded_is_no_server(tmp_path, handmade, monkeypatch, serving):
    """The archive's file is not the one that was exported."""
    import shutil
    import zipfile

    from okkhor.errors import InputError
    from okkhor.serving import neighbors
    from okkhor.serving.archives.mms import write_mms
    from okkhor.serving.bundle import Bundle

    try:
        neighbors.python_of("mms")
    except InputError as error:
        pytest.skip(str(error))
    if shutil.which("java") is None:
        pytest.skip("needs Java: make setup-system")
    archive = write_mms(Bundle.open(handmade), "onnx", tmp_path / "archives")
    with zipfile.ZipFile(archive) as whole:
        files = {name: whole.read(name) for name in whole.namelist()}
    files["bundle/model.onnx"] = bytes(len(files["bundle/model.onnx"]))
    with zipfile.ZipFile(archive, "w") as damaged:
        for name, content in files.items():
            damaged.writestr(name, content)
    monkeypatch.setattr(neighbors, "START_SECONDS", 6)
    with pytest.raises(InputError, match="the server does not answer"), neighbors.multi_model_server(archive, tmp_path):
        pass
    assert neighbors.family(tmp_path) == []
    assert "it was changed or damaged: export the run again" in (tmp_path / "output.txt").read_text()
