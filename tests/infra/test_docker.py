"""infra/docker without a Docker daemon: the linter, what the files name, and the image's content run in place."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from docker.utils.build import exclude_paths

from okkhor.serving.torchserve.settings import PORTS

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "infra" / "docker"
HADOLINT = Path(sys.executable).with_name("hadolint")


def lint(file: Path) -> subprocess.CompletedProcess:
    return subprocess.run([HADOLINT, "--no-color", file], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("file", sorted(DOCKER.glob("*Dockerfile")), ids=lambda file: file.name)
def test_the_linter_has_nothing_to_say(file):
    found = lint(file)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_the_linter_would_say_it(tmp_path):
    bad = tmp_path / "bad.Dockerfile"
    bad.write_text("FROM python:latest\nRUN pip install torch\n")
    found = lint(bad)
    assert found.returncode == 1
    assert {"DL3007", "DL3013"} <= set(re.findall(r"DL\d+", found.stdout))


@pytest.mark.parametrize("file", sorted(DOCKER.glob("*Dockerfile")), ids=lambda file: file.name)
def test_what_is_copied_is_in_git(torchserve, file):
    sources = [source for sources, _ in type(torchserve)(file).copies for source in sources]
    assert sources
    for source in sources:
        known = subprocess.run(["git", "ls-files", source], capture_output=True, text=True, cwd=ROOT, check=True)
        assert known.stdout, f"COPY {source}"


def test_the_base_is_pinned_and_root_does_not_serve(torchserve):
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", torchserve.one("FROM"))
    *_, user = torchserve.all("USER")
    assert int(user) > 0  # a number: orchestrators that refuse root cannot tell it of a name
    after = [name for name, _ in torchserve.instructions]
    assert "RUN" not in after[after.index("USER") :]


def test_every_package_has_a_version_that_was_tested(torchserve):
    """By constraints.txt, which both calls of pip are given."""
    pinned = {
        line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    }
    wanted = [line.split("==")[0] for line in (DOCKER / "torchserve.txt").read_text().splitlines() if line[:1] != "#"]
    assert set(wanted) <= pinned
    installs = [part for rest in torchserve.all("RUN") for part in rest.split("&&") if "pip install" in part]
    assert len(installs) == 2
    assert all("--constraint constraints.txt" in part for part in installs)


def patterns() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_data_runs_environments_and_secrets_stay_out_of_the_build(tmp_path):
    let_in = ["constraints.txt", "serve/start.py", "src/okkhor/heads.py", "infra/docker/torchserve.txt"]
    kept_out = [
        "data/train.parquet", "runs/default/1/checkpoints/best.ckpt", "reports/bench.json", "wandb/run/log",
        ".venv/bin/python", ".servers/mms/bin/python", ".serve/key_file.json", ".git/config", ".env", "serve/.env",
        "src/okkhor/.env", "configs/local/default.yaml", "src/okkhor/__pycache__/heads.pyc", "src/okkhor.egg-info/PKG",
        "serve/model.onnx.part", "infra/docker/.env", "id_rsa", "kaggle.json",
    ]  # fmt: skip
    for name in let_in + kept_out:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {path for path in exclude_paths(str(tmp_path), patterns()) if (tmp_path / path).is_file()}
    assert found == set(let_in)


def test_the_build_sees_nothing_that_git_ignores():
    found = {path for path in exclude_paths(str(ROOT), patterns()) if (ROOT / path).is_file()}
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    known = subprocess.run(listed, capture_output=True, text=True, cwd=ROOT, check=True).stdout.split("\0")
    assert "src/okkhor/heads.py" in found
    assert found <= {*known, ".dockerignore"}


def test_the_compose_file_agrees_with_the_image_and_the_server(torchserve):
    (service,) = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"].values()
    context = DOCKER / service["build"]["context"]
    assert context.resolve() == ROOT
    assert (context / service["build"]["dockerfile"]).resolve() == torchserve.path
    published = [port.replace("${OKKHOR_PORT:-8080}", "8080").split(":") for port in service["ports"]]
    assert published == [["127.0.0.1", str(PORTS["inference"]), str(PORTS["inference"])]]
    assert torchserve.all("EXPOSE") == [str(PORTS["inference"])]
    (bundle,) = service["volumes"]
    assert bundle["read_only"] is True
    assert bundle["target"] == json.loads(torchserve.one("ENTRYPOINT"))[-1]
    # all that is written, in a container that nothing else can be written to
    assert service["read_only"] is True
    uid = torchserve.one("USER")
    assert f"/serve:uid={uid},mode=0700" in service["tmpfs"]
    assert "OKKHOR_SERVE_DIR=/serve" in torchserve.one("ENV").split()
    assert service["cap_drop"] == ["ALL"]
    assert "privileged" not in service
    assert "network_mode" not in service


@pytest.mark.serial
@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java: make setup-system")
def test_what_the_image_holds_is_enough_and_its_health_is_a_ready_worker(torchserve, laid, handmade, tmp_path):
    """The image's commands with its files and its packages alone: the server answers, is healthy, is not, and ends."""
    environment = {"PATH": os.environ["PATH"], **laid.environment, "OKKHOR_SERVE_DIR": str(tmp_path / "serve")}
    places = {"cwd": laid.workdir, "env": environment}
    check = laid.words(torchserve.one("HEALTHCHECK").split("CMD ")[1])

    def health() -> tuple[int, str]:
        done = subprocess.run(check, capture_output=True, text=True, timeout=60, **places)
        return done.returncode, done.stdout + done.stderr

    status, said = health()
    assert status == 1
    assert said.startswith("okkhor is not ready: no server is running")
    start = [*laid.words(torchserve.one("ENTRYPOINT"), bundle=handmade), "--port", "0", "--workers", "1"]
    log = tmp_path / "log"
    with log.open("w") as output:
        container = subprocess.Popen(start, stdout=output, stderr=subprocess.STDOUT, **places)
    try:
        give_up = time.monotonic() + 90
        while container.poll() is None and "answers at" not in log.read_text():
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.2)
        assert container.poll() is None, log.read_text()
        assert health() == (0, "okkhor: 1 workers ready\n")
        record = json.loads((tmp_path / "serve" / "server.json").read_text())
        keys = json.loads(Path(record["tokens"]).read_text())

        def ask(service: str, method: str, path: str, kind: str | None, body: bytes | None = None) -> tuple[int, dict]:
            connection = http.client.HTTPConnection("127.0.0.1", record["ports"][service], timeout=60)
            token = {"Authorization": f"Bearer {keys[kind]['key']}"} if kind else {}
            connection.request(method, path, body, token)
            answer = connection.getresponse()
            found = json.loads(answer.read())
            connection.close()
            return answer.status, found

        image = (laid.workdir / "serve" / "torchserve" / "sample.png").read_bytes()
        assert 400 <= ask("inference", "POST", "/predictions/okkhor", None, image)[0] < 500
        status, answer = ask("inference", "POST", "/predictions/okkhor", "inference", image)
        assert status == 200
        assert set(answer["heads"]) == {"root", "vowel", "consonant"}
        assert ask("management", "PUT", "/models/okkhor?min_worker=0&synchronous=true", "management")[0] == 200
        assert ask("inference", "GET", "/ping", "inference") == (200, {"status": "Healthy"})
        assert health() == (1, "okkhor: 0 workers ready\n")
        family = [psutil.Process(record["pid"]), *psutil.Process(record["pid"]).children(recursive=True)]
        container.send_signal(signal.SIGTERM)
        assert container.wait(30) == 130
        assert not psutil.wait_procs(family, timeout=0)[1]
        for secret in (key["key"] for key in keys.values()):
            assert secret not in log.read_text()
    finally:
        container.kill()
        container.wait()
