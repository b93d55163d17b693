"""The real TorchServe: answers, batches, versions, overload, workers that die, and what it listens to."""

import base64
import hashlib
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import cv2
import numpy as np
import psutil
import pytest
import yaml

pytestmark = pytest.mark.serial
JSON = "application/json"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def same(answer: dict, expected: dict) -> bool:
    """But for the time it took and the last digit of a probability."""
    for head, choices in expected["heads"].items():
        found = answer["heads"][head]
        if [c["class"] for c in found] != [c["class"] for c in choices]:
            return False
        if not np.allclose([c["probability"] for c in found], [c["probability"] for c in choices], atol=1e-5):
            return False
    return answer["grapheme"] == expected["grapheme"] and answer["model"] == expected["model"]


def wait_for(condition, seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "did not happen in time"
        time.sleep(0.1)


def npy(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, image)
    return file.getvalue()


@pytest.mark.parametrize(
    "kind", ["image/png", "image/webp", "application/x-npy", "application/octet-stream", None, JSON]
)
def test_every_content_type_is_answered_as_the_predictor_answers(server, predictor, drawn, kind):
    image = drawn(1)
    encoded = {
        "image/webp": lambda: cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes(),
        "application/x-npy": lambda: npy(image),
        JSON: lambda: json.dumps({"image": b64(cv2.imencode(".png", image)[1].tobytes())}).encode(),
    }.get(kind, lambda: cv2.imencode(".png", image)[1].tobytes())()
    answered = server.ask(encoded, kind)
    assert answered.status == 200
    assert answered.headers["content-type"] == JSON
    (expected,) = predictor.predict([image])
    assert same(answered.json, expected.as_json())
    assert answered.json["milliseconds"] > 0


def test_a_form_is_answered_too(server, predictor, drawn, png):
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    answered = server.ask(head + png(2) + b"\r\n--b--\r\n", "multipart/form-data; boundary=b")
    assert answered.status == 200
    assert same(answered.json, predictor.predict([drawn(2)])[0].as_json())


def test_instances_get_an_answer_or_a_refusal_each(server, predictor, drawn, png):
    body = {"instances": [{"image": b64(png(3))}, {"image": "!"}, {}, {"image": b64(png(4))}], "top": 2}
    answered = server.ask(json.dumps(body).encode(), JSON)
    assert answered.status == 200
    first, second, third, fourth = answered.json["predictions"]
    assert same(first, predictor.predict([drawn(3)], top=2)[0].as_json())
    assert same(fourth, predictor.predict([drawn(4)], top=2)[0].as_json())
    assert (second["type"], third["type"]) == ("NotBase64", "BadRequest")


def test_requests_of_a_batch_do_not_mix_nor_spoil_each_other(server, predictor, drawn, png):
    """96 different requests at once: every third is no image, others want other `top` and maps."""
    bodies = [
        b"nonsense" if i % 3 == 0 else json.dumps({"image": b64(png(i)), "top": 1 + i % 4}).encode() for i in range(96)
    ]
    paths = ["/explanations/okkhor" if i % 5 == 0 else "/predictions/okkhor" for i in range(96)]
    kinds = ["image/png" if i % 3 == 0 else JSON for i in range(96)]
    with ThreadPoolExecutor(32) as pool:
        every = list(pool.map(server.ask, bodies, kinds, paths))
    for i, answered in enumerate(every):
        if i % 3 == 0:
            assert (answered.status, answered.json["type"]) == (400, "NotAnImage")
        else:
            assert answered.status == 200
            assert same(answered.json, predictor.predict([drawn(i)], top=1 + i % 4)[0].as_json())
            assert ("activation_maps" in answered.json) == (i % 5 == 0)


def test_explanations_are_activation_maps(server, predictor, drawn, png):
    answered = server.ask(png(5), path="/explanations/okkhor")
    (expected,) = predictor.predict([drawn(5)], explain=True)
    for head, values in expected.activation_maps.items():
        np.testing.assert_allclose(answered.json["activation_maps"][head], values, atol=1e-3)


def test_metrics_count_requests_and_show_confidence_by_head(server, png):
    def counted() -> dict[str, float]:
        text = server.ask(None, None, "/metrics", method="GET", service="metrics").body.decode()
        lines = (line for line in text.splitlines() if line.startswith("okkhor_"))
        return {
            re.sub(r'Hostname="[^"]*",?', "", line.rsplit(" ", 1)[0]): float(line.rsplit(" ", 1)[1]) for line in lines
        }

    name = 'okkhor_requests{Model="okkhor",Version="1.0",Status="%s",}'
    before = counted()
    for _ in range(5):
        server.ask(png(6))
    server.ask(b"nonsense")

    def grown(key: str) -> float:
        return counted().get(key, 0) - before.get(key, 0)

    wait_for(lambda: grown(name % 200) == 5 and grown(name % 400) == 1, 10)
    for head in ("root", "vowel", "consonant"):
        assert grown(f'okkhor_confidence_count{{Model="okkhor",Version="1.0",Head="{head}",}}') == 5


def test_a_killed_worker_comes_back_and_every_request_gets_an_answer(server, png):
    before = server.workers()
    stop = time.monotonic() + 4
    victim = next(iter(before))

    def load(seed: int) -> list[tuple[int, bytes]]:
        found = []
        while time.monotonic() < stop:
            answered = server.ask(png(seed))
            found.append((answered.status, answered.body))
        return found

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(load, seed) for seed in range(8)]
        time.sleep(1)
        os.kill(victim, signal.SIGKILL)
        every = [one for future in running for one in future.result()]
    failed = [body for status, body in every if status != 200]
    assert len(failed) <= 8  # what the victim had in hand: one batch
    assert {status for status, _ in every} <= {200, 500, 503, 507}  # 507: it takes a kill for a lack of memory
    for body in failed:
        assert set(json.loads(body)) == {"code", "type", "message"}
    wait_for(lambda: set(server.workers().values()) == {"READY"} and victim not in server.workers())
    assert len(server.workers()) == len(before)
    assert server.ask(png(0)).status == 200


def test_overload_is_answered_503_and_says_so(server, png):
    from okkhor.serving.torchserve.settings import QUEUE

    workers = list(server.workers())
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(QUEUE + 60) as pool:
            asked = [pool.submit(server.ask, png(0)) for _ in range(QUEUE + 60)]
            wait_for(lambda: sum(one.done() for one in asked) >= 20, 30)
            refused = [one.result() for one in asked if one.done()]
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
            every = [one.result() for one in asked]
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    assert {answered.status for answered in refused} == {503}
    assert "overloaded" in refused[0].json["message"]
    assert {answered.status for answered in every} == {200, 503}
    assert sum(answered.status == 200 for answered in every) >= QUEUE


def test_versions_side_by_side_and_an_update_under_load_that_drops_nothing(server, handmade, png):
    added = server.models("add", str(handmade), "--version", "2.0")
    assert added.returncode == 0, added.stderr
    for version in ("1.0", "2.0"):
        assert server.ask(png(0), path=f"/predictions/okkhor/{version}").json["model"]["version"] == version
    assert server.ask(png(0)).json["model"]["version"] == "1.0"
    assert server.models("remove", "okkhor", "2.0").returncode == 0
    done = False
    waited: list[float] = []

    def load(seed: int) -> list[tuple[int, str]]:
        found = []
        while not done:
            asked = time.monotonic()
            answered = server.ask(png(seed))
            waited.append(time.monotonic() - asked)
            found.append(
                (answered.status, answered.json["model"]["version"] if answered.status == 200 else answered.body)
            )
        return found

    try:
        with ThreadPoolExecutor(4) as pool:
            running = [pool.submit(load, seed) for seed in range(4)]
            began = time.monotonic()
            try:
                updated = server.models("update", str(handmade), "--version", "3.0")
            finally:
                done = True
            took = time.monotonic() - began
            every = [one for future in running for one in future.result()]
        assert updated.returncode == 0, updated.stderr
        assert set(every) == {(200, "1.0"), (200, "3.0")}
        assert max(waited) < took / 3, "nobody waits for the new version to load"
        assert server.ask(png(0), path="/predictions/okkhor/1.0").status == 404
    finally:
        back = server.models("update", str(handmade), "--version", "1.0")
    assert back.returncode == 0, back.stderr
    assert "okkhor 1.0  2 workers ready" in back.stdout


def test_what_a_version_computes_is_answered_before_it_goes(server, handmade, drawn):
    """64 large images, which take a worker seconds, while nothing is in the queue."""
    image = cv2.resize(drawn(0), (5000, 2900), interpolation=cv2.INTER_NEAREST)  # compresses well
    sent = {"image": b64(cv2.imencode(".png", image)[1].tobytes())}
    body = json.dumps({"instances": [sent] * 64, "top": 1}).encode()
    added = server.models("add", str(handmade), "--version", "2.0")
    assert added.returncode == 0, added.stderr

    def spent() -> float:
        return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in server.workers("2.0"))

    before = spent()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.ask, body, JSON, "/predictions/okkhor/2.0")
        try:
            wait_for(lambda: asked.done() or spent() > before + 0.3)
        finally:
            removed = server.models("remove", "okkhor", "2.0")
        answered = asked.result()
    assert removed.returncode == 0, removed.stderr
    assert "okkhor 2.0" not in removed.stdout
    assert answered.status == 200
    assert len(answered.json["predictions"]) == 64


def test_a_version_that_cannot_be_loaded_is_told_and_taken_back(server, handmade, tmp_path, png):
    broken = shutil.copytree(handmade, tmp_path / "broken")
    (broken / "model.onnx").write_bytes(b"no graph")
    described = yaml.safe_load((broken / "bundle.yaml").read_text(encoding="utf-8"))
    described["formats"]["onnx"] |= {"sha256": hashlib.sha256(b"no graph").hexdigest(), "bytes": 8}
    (broken / "bundle.yaml").write_text(yaml.safe_dump(described, allow_unicode=True), encoding="utf-8")
    refused = server.models("update", str(broken), "--version", "4.0")
    assert refused.returncode == 2
    assert refused.stderr.startswith(
        "error: update: the server answered 500: a worker of okkhor 4.0 ended while it loaded the model; logs in "
    )
    assert refused.stderr.count("\n") == 1
    listed = server.models("list").stdout
    assert "okkhor 1.0  2 workers ready" in listed
    assert "4.0" not in listed
    assert server.ask(png(0)).json["model"]["version"] == "1.0"


def test_the_default_stays_while_there_are_others(server, handmade, png):
    assert server.models("add", str(handmade), "--version", "2.0").returncode == 0
    refused = server.models("remove", "okkhor", "1.0")
    assert refused.returncode == 2
    assert "okkhor 1.0 is the default; make another version that first" in refused.stderr
    assert server.models("remove", "okkhor", "2.0").returncode == 0
    assert server.ask(png(0)).json["model"]["version"] == "1.0"


def test_a_version_that_is_there_and_one_that_is_not_are_told_in_one_line(server, handmade):
    for words in (
        ("add", str(handmade), "--version", "1.0"),
        ("default", "okkhor", "9.9"),
        ("remove", "okkhor", "9.9"),
    ):
        refused = server.models(*words)
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"error: {words[0]}: the server answered 4")
        assert refused.stderr.count("\n") == 1


def test_it_listens_on_loopback_alone(server):
    listening = [c.laddr for c in psutil.Process(server.pid).net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert {address.port for address in listening} >= set(server.ports.values())
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_archives_from_elsewhere_are_refused(server, handmade, tmp_path):
    """One that could be loaded lies outside of the store."""
    from okkhor.serving.archives.torchserve import write_torchserve
    from okkhor.serving.bundle import Bundle

    archive = write_torchserve(Bundle.open(handmade), "onnx", tmp_path, name="stranger")
    beside = server.dir / "stranger.mar"
    shutil.copyfile(archive, beside)
    for url, said in {
        "https://example.org/a.mar": "does not match any allowed URL",
        archive.as_uri(): "does not match any allowed URL",
        f"{(server.dir / 'store').as_uri()}/../stranger.mar": "",
        f"{(server.dir / 'store').as_uri()}/%2e%2e/stranger.mar": "",
        "../stranger.mar": "",
        str(archive): "",
    }.items():
        refused = server.ask(None, None, f"/models?url={quote(url, safe='')}", service="management")
        assert 400 <= refused.status < 500, (url, refused)
        assert said in refused.json["message"]
    beside.unlink()
    listed = server.ask(None, None, "/models", method="GET", service="management").json["models"]
    assert [model["modelName"] for model in listed] == ["okkhor"]


def test_what_is_larger_than_a_request_may_be_is_413(server):
    from okkhor.serving.torchserve.settings import MAX_REQUEST

    assert server.ask(b"\0" * (MAX_REQUEST + 1)).status == 413


def test_a_failing_model_says_nothing_of_its_insides(monkeypatch, handmade, png):
    """The handler in this process, with a network that fails: 500 in our own words, for this item alone."""
    from okkhor.serving.predictor import Predictor
    from okkhor.serving.service import Service

    for name in ("ts", "ts.metrics", "ts.metrics.metric_type_enum"):  # PyTorch and warnings come with the real one
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(MetricTypes=SimpleNamespace(HISTOGRAM=None)))
    file = Path(__file__).resolve().parents[2] / "serve" / "torchserve" / "handler.py"
    spec = importlib.util.spec_from_file_location("handler", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler = module.OkkhorHandler()
    handler.service = Service(Predictor.load(handmade, "onnx"))

    def failing(images):
        raise RuntimeError("secret")

    handler.service.predictor.runtime = failing
    statuses = {}
    context = SimpleNamespace(
        get_all_request_header=lambda i: {"Content-Type": "image/png"},
        set_response_status=lambda code, phrase, i: statuses.update({i: code}),
        set_response_content_type=lambda i, kind: None,
        metrics=SimpleNamespace(get_metric=lambda *a: SimpleNamespace(add_or_update=lambda *a: None)),
    )
    good, bad = handler.handle([{"body": png(0)}, {"body": b"nonsense"}], context)
    assert statuses == {0: 500, 1: 400}
    assert b"secret" not in good
    assert json.loads(good)["type"] == "InternalError"
    assert json.loads(bad)["type"] == "NotAnImage"
