"""The load generator against a server that counts: who asks, how many at once, what, and what counts."""

import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from okkhor.benchmarks.serving.load import drive
from okkhor.errors import JobFailedError

BODIES = [bytes([letter]) * 50 for letter in range(4)]


class Counting(ThreadingHTTPServer):
    """Answers each request after `delay` seconds; `status` and `delay` may be functions of how many came before."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.lock = threading.Lock()
        self.bodies: Counter = Counter()
        self.kinds: set[str | None] = set()
        self.connections: set[tuple[str, int]] = set()
        self.busy = self.most_busy = 0
        self.delay = lambda number: 0.02
        self.status = lambda number: 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/predictions/okkhor"


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with server.lock:
            number = server.bodies.total()
            server.bodies[body] += 1
            server.kinds.add(self.headers["Content-Type"])
            server.connections.add(self.client_address)
            server.busy += 1
            server.most_busy = max(server.busy, server.most_busy)
        time.sleep(server.delay(number))
        with server.lock:
            server.busy -= 1
        said = b"queue\nfull"
        self.send_response(server.status(number))
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server():
    with Counting() as counting:
        thread = threading.Thread(target=counting.serve_forever, args=(0.05,))
        thread.start()
        yield counting
        counting.shutdown()
        thread.join()


@pytest.mark.parametrize("clients", [1, 5])
def test_every_client_keeps_one_request_on_its_way_and_all_answers_in_the_window_count(server, clients):
    answers = drive(server.url, BODIES, clients, 0.5)
    asked = server.bodies.total()
    assert server.most_busy == clients
    assert len(server.connections) == clients  # kept, not made anew
    assert asked - clients <= len(answers.latencies) <= asked  # one of each client may have come too late
    assert all(took >= 0.02 for took in answers.latencies)
    # each client was busy all the time, so that the latencies add up to it
    assert 0.5 < sum(answers.latencies) / (clients * answers.seconds) < 1.1
    assert answers.seconds == pytest.approx(0.5)


def test_all_bodies_are_sent_alike_and_with_their_type(server):
    drive(server.url, BODIES, 2, 0.4, kind="image/webp")
    assert set(server.bodies) == set(BODIES)
    assert max(server.bodies.values()) - min(server.bodies.values()) <= 2
    assert server.kinds == {"image/webp"}


def test_what_comes_before_the_window_does_not_count(server):
    server.delay = lambda number: 0.3 if number < 2 else 0.01
    answers = drive(server.url, BODIES, 2, 0.3, warm_up=0.8)
    assert max(answers.latencies) < 0.3
    assert len(answers.latencies) < server.bodies.total() - 2


def test_a_slow_server_gets_a_longer_window_instead_of_no_number(server):
    server.delay = lambda number: 0.25
    answers = drive(server.url, BODIES, 3, 0.05)
    assert len(answers.latencies) >= 3
    assert 0.25 <= answers.seconds < 1.5
    assert len(answers.latencies) / answers.seconds < 3 / 0.25


def test_what_the_generator_itself_took_is_said(server):
    answers = drive(server.url, BODIES, 4, 0.3)
    assert answers.share > 0


def test_an_answer_that_is_no_200_ends_it_with_the_servers_words(server):
    server.status = lambda number: 503 if number == 7 else 200
    with pytest.raises(JobFailedError, match=r"/predictions/okkhor: answered 503: queue full$"):
        drive(server.url, BODIES, 3, 20)
    assert server.bodies.total() < 30  # the other clients ended as well


def test_a_server_that_is_not_there_is_said_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(JobFailedError, match=f"http://127.0.0.1:{port}/x: .*refused"):
        drive(f"http://127.0.0.1:{port}/x", BODIES, 2, 30)
    assert time.monotonic() - started < 10


def test_no_client_stays_behind(server):
    before = threading.active_count()
    drive(server.url, BODIES, 8, 0.1)
    give_up = time.monotonic() + 5
    while threading.active_count() > before:  # threads of the server end when they see their connection closed
        assert time.monotonic() < give_up
        time.sleep(0.01)
