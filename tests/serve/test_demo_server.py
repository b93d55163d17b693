"""The web page's server without a browser: what it lets in, what it hands out, and how its command refuses."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("starlette", reason="the web page needs starlette and uvicorn")
pytest.importorskip("uvicorn", reason="the web page needs starlette and uvicorn")
pytestmark = pytest.mark.serial
COMMAND = [sys.executable, str(Path(__file__).resolve().parents[2] / "serve" / "demo.py"), "--no-open"]


class Demo:
    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "--port", "0", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self.line = self.process.stdout.readline()
        self.port = urlsplit(self.line.split()[0]).port

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET" if body is None else "POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def end(self) -> str:
        """Ctrl-C; what it said on stderr."""
        self.process.send_signal(signal.SIGINT)
        said = self.process.communicate(timeout=20)[1]
        assert self.process.returncode == 130
        return said


@pytest.fixture(scope="module")
def demo(handmade):
    started = Demo("--bundle", str(handmade))
    yield started
    assert started.end() == "stopped\n"


def test_an_answer_is_the_predictor_s_with_maps(demo, predictor, drawn, png):
    status, headers, body = demo.ask("/api/read", png(1))
    answer = json.loads(body)
    (expected,) = predictor.predict([drawn(1)], explain=True)
    wanted = expected.as_json()
    assert (status, headers["content-type"]) == (200, "application/json")
    for name in ("grapheme", "heads", "confidence", "model", "activation_maps", "seen"):
        assert answer[name] == wanted[name]


def test_refusals_have_the_model_s_form(demo):
    cases = {
        ("/api/read", b"nonsense"): 400,
        ("/api/read", b"GIF89a" + bytes(40)): 415,
        ("/api/read", bytes(6_000_001)): 413,
        ("/api/read", b""): 400,
        ("/api/read", None): 404,
        ("/samples/8.png", None): 404,
        ("/fonts/500.ttf", None): 404,
        ("/nothing", None): 404,
        ("/..%2f..%2fpyproject.toml", None): 404,
        ("/%2e%2e/demo.py", None): 404,
    }
    for (path, sent), wanted in cases.items():
        status, _, body = demo.ask(path, sent)
        said = json.loads(body)
        assert (path, status, said["code"]) == (path, wanted, wanted)
        assert set(said) >= {"code", "type", "message"}
        assert "Traceback" not in said["message"]


def test_the_page_may_load_nothing_from_elsewhere_and_nothing_inline(demo):
    for path in (
        "/",
        "/page.js",
        "/page.css",
        "/icon.svg",
        "/fonts/400.ttf",
        "/samples/0.png",
        "/api/about",
        "/nothing",
    ):
        _, headers, body = demo.ask(path)
        rules = dict(rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";"))
        assert rules["default-src"] == "'none'"
        assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
        assert headers["x-content-type-options"] == "nosniff"
        if path in ("/", "/page.js", "/page.css"):
            assert b"https://" not in body
            assert b"http://" not in body


def test_other_names_than_its_own_are_refused(demo, png):
    """A page elsewhere whose name is made to point here could read the answers."""
    assert demo.ask("/api/about", Host="localhost:1")[0] == 200
    for host in ("example.org", f"example.org:{demo.port}", "127.0.0.1.example.org"):
        assert demo.ask("/api/about", Host=host)[0] == 400
        assert demo.ask("/api/read", png(0), Host=host)[0] == 400


def test_it_listens_on_loopback_alone(demo):
    import psutil

    listening = [c.laddr for c in psutil.Process(demo.process.pid).net_connections("inet") if c.status == "LISTEN"]
    assert [(address.ip, address.port) for address in listening] == [("127.0.0.1", demo.port)]


def test_others_may_reach_it_when_asked_to_and_are_warned_of(handmade):
    started = Demo("--bundle", str(handmade), "--host", "0.0.0.0")
    assert started.ask("/api/about", Host="laptop.local:80")[0] == 200
    assert "others can reach this page" in started.end()


def test_the_running_torchserve_is_asked_and_what_keeps_it_from_answering_is_told(server, png, tmp_path):
    shutil.copyfile(server.dir / "server.json", tmp_path / "server.json")
    started = Demo("--dir", str(tmp_path))
    try:
        assert f"asks TorchServe at 127.0.0.1:{server.ports['inference']}" in started.line
        assert started.ask("/api/read", png(0))[0] == 200
        (tmp_path / "server.json").write_text("{")
        for path, body in (("/api/read", png(0)), ("/api/about", None)):
            status, _, said = started.ask(path, body)
            assert (status, json.loads(said)["type"]) == (503, "NoServer")
            assert "server.json: cannot be read" in json.loads(said)["message"]
    finally:
        started.end()


def test_a_server_named_by_its_url_is_asked_and_a_dead_one_told(server, png):
    for port, wanted in ((server.ports["inference"], 200), (9, 503)):
        started = Demo("--url", f"http://127.0.0.1:{port}/predictions/okkhor")
        status, _, body = started.ask("/api/read", png(0))
        started.end()
        assert status == wanted
    assert "no answer" in json.loads(body)["message"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--url", "ftp://x"], "--url=ftp://x: expected http://"),
        (["--host", "example.org"], "--host=example.org: expected an IPv4 address"),
        (["--port", "70000"], "--port=70000: expected a number from 0 to 65535"),
        (["--bundle", "/nowhere"], "/nowhere: no bundle"),
        ([], "no trained run"),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, words, said):
    environment = {**os.environ, "OKKHOR_RUNS": str(tmp_path), "OKKHOR_SERVE_DIR": str(tmp_path)}
    port = [] if "--port" in words else ["--port", "0"]
    done = subprocess.run(
        [*COMMAND, *port, *words], capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_told_in_one_line(handmade):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*COMMAND, "--bundle", str(handmade), "--port", port],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == (
        f"error: 127.0.0.1:{port} cannot be listened on: Address already in use; --port 0 takes a free one\n"
    )
