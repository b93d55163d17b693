"""The load generator: clients that ask again as soon as they have their answer, each on a connection of its own.

Threads with Python's http.client, which need a third of a millisecond of processor a request where the network needs
thirty. They run on the same cores as the server; how much of one they took is measured with everything else.
"""

import threading
import time
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from itertools import count

from okkhor.errors import JobFailedError

TIMEOUT = 60.0  # seconds of one request
MOST_SAID = 200  # bytes of an answer that is an error


@dataclass(frozen=True)
class Answers:
    """latencies: seconds of each answer that came within the window; seconds: the window's; share: of one core, what
    this process took meanwhile."""

    latencies: list[float]
    seconds: float
    share: float


def drive(
    url: str, bodies: Sequence[bytes], clients: int, seconds: float, *, warm_up: float = 0.0, kind: str = "image/png"
) -> Answers:
    """Have `clients` ask at once, first for `warm_up` seconds that do not count, then for `seconds`.

    bodies: what is sent, one after the other, each client from another place on; kind: their content type. A request
    counts where its answer has come, whole, within the window, which lasts until each client has had one at least.
    Raises JobFailedError for any answer but 200, and for a connection that fails.
    """
    at = urllib.parse.urlsplit(url)
    found: list[list[tuple[float, float]]] = [[] for _ in range(clients)]  # when it came, how long it took
    problems: list[str] = []
    over = threading.Event()
    begin = time.perf_counter() + warm_up
    end = begin + seconds

    def client(number: int) -> None:
        assert at.hostname is not None
        connection = HTTPConnection(at.hostname, at.port, timeout=TIMEOUT)
        try:
            for turn in count(number * len(bodies) // clients):
                asked = time.perf_counter()
                if over.is_set() or (asked >= end and all(found)):
                    return
                connection.request("POST", at.path, bodies[turn % len(bodies)], {"Content-Type": kind})
                answer = connection.getresponse()
                body = answer.read()
                answered = time.perf_counter()
                if answer.status != 200:
                    said = " ".join(body[:MOST_SAID].decode("utf-8", "replace").split())
                    raise HTTPException(f"answered {answer.status}: {said}")
                if answered >= begin:
                    found[number].append((answered, answered - asked))
        except (OSError, HTTPException) as error:
            problems.append(f"{url}: {error or type(error).__name__}")
            over.set()
        finally:
            connection.close()

    threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(clients)]
    try:
        for thread in threads:
            thread.start()
        over.wait(begin - time.perf_counter())
        before = time.process_time()
        over.wait(end - time.perf_counter())
        share = (time.process_time() - before) / seconds
        for thread in threads:
            thread.join()
    finally:
        over.set()
    if problems:
        raise JobFailedError(problems[0])
    end = max(end, *(each[0][0] for each in found))
    return Answers([took for each in found for came, took in each if came <= end], end - begin, share)
