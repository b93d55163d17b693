"""A real Ray on this machine: answers as the Predictor's, replicas that grow with the load, nothing left behind."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from okkhor.serving.neighbors import free_ports

pytest.importorskip("ray.serve", reason="needs ray[serve]")
pytestmark = [pytest.mark.serial, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def port(handmade):
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "serve" / "ray_app.py"), str(handmade), "--port", str(port), "--max-replicas", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        assert "answers at" in line, process.communicate()[1]
        family = psutil.Process(process.pid).children(recursive=True)
        folders = {
            found for one in family for found in re.findall("/tmp/okkhor-ray-[a-z0-9_]+", " ".join(one.cmdline()))
        }
        assert len(folders) == 1
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert not Path(*folders).exists()


@pytest.fixture
def ask(port):
    import http.client

    def asked(body, kind="image/png", path="/predictions/okkhor", method="POST"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    return asked


def replicas(port):
    """Processes of the deployment: Ray names them."""
    return sum("ServeReplica:okkhor" in " ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"]))


def test_answers_are_the_predictors(ask, predictor, drawn, png):
    status, answer = ask(png(1))
    (expected,) = predictor.predict([drawn(1)])
    assert status == 200
    assert answer["grapheme"] == expected.grapheme
    for head, choices in expected.as_json()["heads"].items():
        assert [one["class"] for one in answer["heads"][head]] == [one["class"] for one in choices]
        found = [one["probability"] for one in answer["heads"][head]]
        assert found == pytest.approx([one["probability"] for one in choices], abs=1e-5)
    assert "activation_maps" in ask(png(1), path="/explanations/okkhor")[1]


@pytest.mark.parametrize(
    ("body", "kind", "path", "status"),
    [
        (b"nonsense", "image/png", "/predictions/okkhor", 400),
        (b"{", "application/json", "/predictions/okkhor", 400),
        (b"x", "text/plain", "/predictions/okkhor", 415),
        (b"x", "image/png", "/predictions/other", 404),
        (b"\0" * (9 << 20), "image/png", "/predictions/okkhor", 413),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(ask, body, kind, path, status):
    found, answer = ask(body, kind, path)
    assert (found, set(answer)) == (status, {"code", "type", "message"})


def test_another_replica_comes_under_load(ask, png, port):
    if psutil.cpu_count() < 2:
        pytest.skip("needs two processors")
    done = threading.Event()
    assert replicas(port) == 1

    def load():
        while not done.is_set():
            assert ask(png(2))[0] in (200, 503)

    clients = [threading.Thread(target=load) for _ in range(24)]
    for client in clients:
        client.start()
    try:
        give_up = time.monotonic() + 90
        while replicas(port) < 2:
            assert time.monotonic() < give_up, "one replica still"
            time.sleep(0.5)
    finally:
        done.set()
        for client in clients:
            client.join()


def refused(*words: str) -> str:
    """What the command says in its one line."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "serve" / "ray_app.py"), *words], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_port_or_a_cluster_where_it_cannot_be_is_told_in_one_line(handmade):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        number = str(taken.getsockname()[1])
        nobody = refused(str(handmade), "--address", f"127.0.0.1:{number}")  # bound, and nobody listens
        taken.listen()
        assert f"127.0.0.1:{number} cannot be listened on" in refused(str(handmade), "--port", number)
    assert f"--address=127.0.0.1:{number}: no Ray cluster there" in nobody
    assert "--port=0: expected a number" in refused(str(handmade), "--port", "0")
    assert "expected 1 or more" in refused(str(handmade), "--min-replicas", "3", "--max-replicas", "2")


def test_a_model_that_cannot_be_loaded_is_told_in_one_line(handmade, tmp_path):
    broken = shutil.copytree(handmade, tmp_path / "broken")
    data = bytearray((broken / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (broken / "model.onnx").write_bytes(data)
    assert "model.onnx: its hash" in refused(str(broken))
