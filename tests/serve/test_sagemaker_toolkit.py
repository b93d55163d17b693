"""What is SageMaker's inference toolkit's own; see test_neighbors.py for what it has in common with others."""

import signal
import socket
import subprocess
from pathlib import Path

import psutil
import pytest

from okkhor.serving.neighbors import free_ports, has_workers, python_of, wait_until

pytestmark = pytest.mark.serial
LOCAL = Path(__file__).resolve().parents[2] / "serve" / "sagemaker" / "local.py"
JSON = "application/json"


@pytest.mark.parametrize(
    "accept",
    [
        "application/json",
        "*/*",
        "",
        "application/*",
        "Application/JSON;verbose=True",
        "application/json, text/plain, */*",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ],
)
def test_who_takes_json_gets_json(toolkit, predictor, drawn, png, assert_same, accept):
    answered = toolkit.ask(png(1), Accept=accept)
    assert (answered.status, answered.headers["content-type"]) == (200, JSON)
    assert_same(answered.json, predictor.predict([drawn(1)])[0].as_json())


@pytest.mark.parametrize("accept", ["text/csv", "text/html", "application/x-npy", "ü", "x" * 5000])
def test_who_takes_none_is_refused_in_json_without_waiting(toolkit, fuzz, png, accept):
    before = toolkit.processes()
    refused = toolkit.ask(png(1), Accept=accept, timeout=20)
    assert (refused.status, refused.json["type"]) == (406, "NotAcceptable")
    assert refused.headers["content-type"] == JSON
    assert fuzz.explained(refused)
    assert toolkit.processes() == before


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=b", "application/x-www-form-urlencoded"])
def test_a_form_which_the_toolkit_drops_is_refused(toolkit, fuzz, png, kind):
    form = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + png(2) + b"\r\n--b--\r\n"
    refused = toolkit.ask(form if kind.startswith("multipart") else b"image=a", kind)
    assert (refused.status, refused.json["type"]) == (415, "UnsupportedType")
    assert fuzz.explained(refused)


def test_what_is_larger_than_a_request_may_be_is_413(toolkit, png):
    assert toolkit.ask(b"\0" * (8 << 20)).status == 413
    assert toolkit.ask(png(0)).status == 200


def test_it_ends_when_asked_and_leaves_another_torchserve_alone(server, toolkit, png, tmp_path):
    """serve/sagemaker/local.py as a user starts it, beside the server of `make serve` and another toolkit."""
    ports = free_ports(4)
    archive = toolkit.dir / "archives" / "model.tar.gz"
    words = [str(python_of("sagemaker")), str(LOCAL), str(archive), "--dir", str(tmp_path), "--workers", "1", "--port"]
    others = toolkit.processes()
    with (tmp_path / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [*words, *map(str, ports)], stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_until(lambda: has_workers(f"http://127.0.0.1:{ports[0]}/models/model"), tmp_path, process)
        family = [one for one in psutil.process_iter() if belongs(one, tmp_path)]
        assert len(family) == 2  # Java and a worker
        with pytest.raises(subprocess.TimeoutExpired):  # where it sees another server, it gives up after ten seconds
            process.wait(8)
        process.send_signal(signal.SIGTERM)  # where it takes another for its own, it ends that one
        process.wait(60)
    finally:
        for one in psutil.process_iter():
            if belongs(one, tmp_path):
                one.kill()
        process.wait()
    assert process.returncode == 0
    assert not [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert server.ask(png(0)).status == 200
    assert toolkit.ask(png(0)).status == 200
    assert toolkit.processes() == others


def belongs(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.environ().get("OKKHOR_TOOLKIT") == str(folder)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
