"""serve/start.py --foreground, as a container runs it: it prints the log, and server and command end together."""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

pytestmark = [
    pytest.mark.serial,
    pytest.mark.skipif(shutil.which("java") is None, reason="needs Java: make setup-system"),
]
ROOT = Path(__file__).resolve().parents[2]


class Foreground:
    """The command with a server of its own; `wait_for` reads what it prints."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.folder = folder
        words = ["--bundle", str(bundle), "--port", "0", "--workers", "1", "--dir", str(folder), "--foreground"]
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "serve" / "start.py"), *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.reader = threading.Thread(target=lambda: [self.lines.put(line) for line in self.process.stdout])
        self.reader.start()

    def wait_for(self, words: str, seconds: float = 60) -> str:
        give_up = time.monotonic() + seconds
        while words not in (line := self.lines.get(timeout=max(0, give_up - time.monotonic()))):
            pass
        return line

    @property
    def record(self) -> dict:
        return json.loads((self.folder / "server.json").read_text())

    def end(self) -> tuple[int, str]:
        """Exit status, and what it said on stderr."""
        said = self.process.stderr.read()
        status = self.process.wait(30)
        self.reader.join()
        return status, said


@pytest.fixture
def foreground(tmp_path, handmade):
    started = Foreground(tmp_path / "serve", handmade)
    yield started
    started.process.kill()
    started.process.wait()
    started.reader.join()
    for stream in (started.process.stdout, started.process.stderr):
        stream.close()


def family(server: int) -> list[psutil.Process]:
    return [psutil.Process(server), *psutil.Process(server).children(recursive=True)]


def gone(processes: list[psutil.Process], seconds: float = 10) -> bool:
    return not psutil.wait_procs(processes, timeout=seconds)[1]


def ask(url: str, image: bytes) -> dict:
    from base64 import b64encode

    from okkhor.serving.client import ask_url

    status, answer = ask_url(url, {"image": b64encode(image).decode()})
    assert status == 200
    return answer


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_the_log_and_a_signal_ends_all_of_it(foreground, predictor, drawn, png, by):
    foreground.wait_for("answers at")
    record = foreground.record
    (expected,) = predictor.predict([drawn(1)])
    answer = ask(f"{record['urls']['inference']}/predictions/okkhor", png(1))
    assert answer["grapheme"] == expected.as_json()["grapheme"]
    assert '"POST /predictions/okkhor HTTP/1.1" 200' in foreground.wait_for("ACCESS_LOG - /127.0.0.1")
    running = family(record["pid"])
    assert len(running) == 2  # Java and a worker
    foreground.process.send_signal(by)
    assert foreground.end() == (130, "stopped\n")
    assert gone(running, 0)
    assert not (foreground.folder / "server.json").exists()
    assert not Path(record["scratch"]).exists()
    told = [line for line in (foreground.folder / "logs" / "torchserve.log").read_text().splitlines() if "INFO" in line]
    assert len(set(told)) == len(told)  # each once


def test_a_signal_while_it_starts_leaves_nothing_either(foreground):
    foreground.wait_for("Management API bind to")
    record = foreground.record
    running = family(record["pid"])
    foreground.process.terminate()
    assert foreground.end() == (130, "stopped\n")
    assert gone(running, 0)
    assert not (foreground.folder / "server.json").exists()
    assert not Path(record["scratch"]).exists()


def test_a_server_that_dies_is_a_failure(foreground):
    foreground.wait_for("answers at")
    record = foreground.record
    running = family(record["pid"])
    os.kill(record["pid"], signal.SIGKILL)
    assert foreground.end() == (1, f"error: TorchServe ended by itself; see {foreground.folder / 'logs'}\n")
    assert gone(running)
    assert not (foreground.folder / "server.json").exists()
    assert not Path(record["scratch"]).exists()


def test_one_that_is_stopped_from_elsewhere_is_none(foreground):
    foreground.wait_for("answers at")
    stop = [sys.executable, str(ROOT / "serve" / "stop.py"), "--dir", str(foreground.folder)]
    assert subprocess.run(stop, capture_output=True, text=True, timeout=60).stdout == "stopped\n"
    assert foreground.end() == (0, "")


def test_a_command_that_is_killed_takes_its_server_along(foreground):
    foreground.wait_for("answers at")
    record = foreground.record
    running = family(record["pid"])
    try:
        foreground.process.kill()
        assert gone(running)
    finally:
        shutil.rmtree(record["scratch"], ignore_errors=True)
