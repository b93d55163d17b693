"""serve/start.py as people use it: the line that it prints works, others need a token, and nothing is left."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = [
    pytest.mark.serial,
    pytest.mark.skipif(shutil.which("java") is None, reason="needs Java: make setup-system"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl"),
]
ROOT = Path(__file__).resolve().parents[2]


def command(*words: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(ROOT / words[0]), *words[1:]],
        capture_output=True, text=True, timeout=120, env={**os.environ, **environment},
    )  # fmt: skip


def start(folder: Path, bundle: Path, *words: str) -> str:
    """What it prints last: a line for the shell."""
    done = command("serve/start.py", "--bundle", str(bundle), "--port", "0", "--dir", str(folder), *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def shell(line: str) -> dict:
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def listening(pid: int) -> set[str]:
    every = [one.laddr for one in psutil.Process(pid).net_connections("inet") if one.status == psutil.CONN_LISTEN]
    return {f"{one.ip.removeprefix('::ffff:')}:{one.port}" for one in every}


@pytest.fixture(scope="module")
def exposed(tmp_path_factory, handmade):
    """Folder of a server that others can reach, its record, and the line that was printed."""
    folder = tmp_path_factory.mktemp("a folder") / "serve's"  # both have to be quoted in a shell
    line = start(folder, handmade, "--host", "0.0.0.0", "--workers", "1")
    record = json.loads((folder / "server.json").read_text())
    family = [record["pid"], *(child.pid for child in psutil.Process(record["pid"]).children(recursive=True))]
    yield folder, record, line
    stopped = command("serve/stop.py", "--dir", str(folder))
    assert (stopped.returncode, stopped.stdout) == (0, "stopped\n")
    assert not [pid for pid in family if psutil.pid_exists(pid)]
    assert not Path(record["scratch"]).exists()
    assert sorted(path.name for path in folder.iterdir()) == ["classes", "config.properties", "logs", "store"]
    assert command("serve/stop.py", "--dir", str(folder)).stdout == "no server was running\n"


def test_the_line_that_is_printed_is_answered_as_it_stands(exposed):
    _, _, line = exposed
    assert line.startswith("curl ")
    answer = shell(line)
    assert set(answer["heads"]) == {"root", "vowel", "consonant"}


def test_who_has_no_token_is_refused(exposed, png):
    import http.client

    _, record, _ = exposed
    asked = {
        "inference": ("POST", "/predictions/okkhor"),
        "management": ("GET", "/models"),
    }
    for service, (method, path) in asked.items():
        for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic b2s6b2s="}):
            connection = http.client.HTTPConnection("127.0.0.1", record["ports"][service], timeout=30)
            connection.request(method, path, png(0), {"Content-Type": "image/png"} | headers)
            answer = connection.getresponse()
            said = json.loads(answer.read())
            connection.close()
            assert (answer.status, said["type"]) == (400, "InvalidKeyException"), (service, headers)


def test_a_token_of_one_service_does_not_open_the_other(exposed):
    import http.client

    _, record, _ = exposed
    keys = json.loads(Path(record["tokens"]).read_text())
    connection = http.client.HTTPConnection("127.0.0.1", record["ports"]["management"], timeout=30)
    connection.request("GET", "/models", headers={"Authorization": f"Bearer {keys['inference']['key']}"})
    assert connection.getresponse().status == 400
    connection.close()


def test_only_inference_can_be_reached_and_only_its_owner_reads_the_tokens(exposed):
    folder, record, _ = exposed
    others = {at for at in listening(record["pid"]) if not at.startswith("127.0.0.1:")}
    assert {at.rpartition(":")[2] for at in others} == {str(record["ports"]["inference"])}
    assert folder.stat().st_mode & 0o077 == 0


def test_the_project_s_own_commands_know_the_token(exposed, png, tmp_path):
    folder, record, _ = exposed
    listed = command("serve/models.py", "--dir", str(folder), "list")
    assert listed.stdout.startswith("okkhor 1.0  1 workers ready"), listed.stderr
    image = tmp_path / "letter.png"
    image.write_bytes(png(0))
    url = f"http://127.0.0.1:{record['ports']['inference']}/predictions/okkhor"
    refused = command("scripts/invoke.py", str(image), "--url", url, OKKHOR_TOKEN="")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    key = json.loads(Path(record["tokens"]).read_text())["inference"]["key"]
    answered = command("scripts/invoke.py", str(image), "--url", url, OKKHOR_TOKEN=key)
    assert answered.returncode == 0, answered.stderr
    assert "sure · okkhor 1.0 (onnx)" in answered.stdout


def test_a_second_server_in_the_same_folder_is_refused_and_the_first_lives(exposed, handmade):
    folder, record, line = exposed
    again = command("serve/start.py", "--bundle", str(handmade), "--port", "0", "--dir", str(folder))
    assert again.returncode == 2
    assert again.stderr == (
        f"error: a server runs already at {record['urls']['inference']}, process {record['pid']}; `make stop` ends it\n"
    )
    assert shell(line)["heads"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "example.org"], "--host=example.org: expected an IPv4 address"),
        (["--port", "1", "2"], "--port: expected one port, three"),
        (["--port", "70000"], "port 70000: expected a number"),
        (["--workers", "-1"], "--workers=-1: expected a whole number from 1"),
        (["--batch-size", "0"], "--batch-size=0: expected a whole number from 1"),
        (["--format", "onnx_int8"], "format=onnx_int8: "),
        (["--name", "../x"], "name=../x: expected letters"),
    ],
)
def test_mistakes_end_in_one_line_and_leave_no_server(tmp_path, handmade, words, said):
    port = [] if "--port" in words else ["--port", "0"]
    done = command("serve/start.py", "--bundle", str(handmade), "--dir", str(tmp_path / "serve"), *port, *words)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "serve" / "server.json").exists()


def test_a_port_that_is_taken_is_told_in_one_line(tmp_path, handmade):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = command("serve/start.py", "--bundle", str(handmade), "--dir", str(tmp_path), "--port", port, "0", "0")
    assert done.returncode == 2
    assert done.stderr == (
        f"error: 127.0.0.1:{port} (inference) cannot be listened on: Address already in use; --port 0 takes free ones\n"
    )
    assert not (tmp_path / "server.json").exists()
