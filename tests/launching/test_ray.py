"""What Ray is asked for; jobs on a Ray of this machine are in tests/commands/test_places.py."""

import socket

import pytest

from okkhor.errors import InputError
from okkhor.launching.ray_cluster import RayBackend, read_error, read_memory
from okkhor.runs import Run


@pytest.mark.parametrize(
    ("text", "expected"), [("8GB", 8 * 2**30), ("1.5g", 3 * 2**29), ("500 MB", 500 * 2**20), (1000, 1000), (None, None)]
)
def test_memory_is_read_as_people_write_it(text, expected):
    assert read_memory(text) == expected


def test_a_size_that_is_none_is_refused():
    with pytest.raises(InputError, match=r"launcher\.memory: expected a size such as 8GB"):
        read_memory("plenty")


def test_without_ray_it_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install -e '\.\[ray\]'"):
        RayBackend()


def test_an_error_of_a_task_is_said_in_its_own_words():
    exceptions = pytest.importorskip("ray.exceptions", reason="launcher=ray is an extra: pip install -e '.[ray]'")
    cause = OSError(28, "No space left on device")
    error = exceptions.RayTaskError("run_node", "Traceback …\n  many lines", cause)
    assert read_error(error.as_instanceof_cause()) == "OSError: [Errno 28] No space left on device"
    assert read_error(exceptions.WorkerCrashedError()).startswith("WorkerCrashedError: ")


@pytest.mark.parametrize("host", ["127.0.0.1", "no.such.host.invalid"])
def test_an_address_where_nothing_answers_is_refused_at_once(host, tmp_path):
    pytest.importorskip("ray", reason="launcher=ray is an extra: pip install -e '.[ray]'")
    with socket.socket() as taken:  # bound, but it does not listen
        taken.bind(("127.0.0.1", 0))
        address = f"{host}:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match=rf"launcher\.address={address}: no Ray cluster there \(.*\); expected"):
            RayBackend(address=address).submit(Run.create(tmp_path, "x"))


def test_a_strategy_that_ray_does_not_have_is_refused():
    pytest.importorskip("ray", reason="launcher=ray is an extra: pip install -e '.[ray]'")
    with pytest.raises(InputError, match="STRICT_SPREAD"):
        RayBackend(strategy="CLOSE")
