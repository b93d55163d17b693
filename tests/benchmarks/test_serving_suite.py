"""The order of things, and that what fails or is absent spoils nothing for the rest and leaves nothing behind."""

import importlib.util
import shutil
import tempfile
from contextlib import contextmanager

import cv2
import numpy as np
import psutil
import pytest

from okkhor.benchmarks.serving import inprocess, network, servers, suite
from okkhor.benchmarks.serving.load import Answers
from okkhor.benchmarks.serving.servers import SERVERS, Server, Serving
from okkhor.benchmarks.serving.suite import Plan, run
from okkhor.errors import InputError, JobFailedError

SHORT = {"seconds": 0.05, "rounds": 3, "clients": (1, 2), "processes": (1, 2)}


@pytest.fixture
def handmade(train_py, monkeypatch):
    """The bundle of tests/serving/conftest.py and two images, in place of an exported network."""
    spec = importlib.util.spec_from_file_location("handmade", train_py.parent / "tests" / "serving" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def make(root, folder, formats, overrides, say):
        module.write_bundle(folder / network.BUNDLE)
        for name in (network.IMAGES, network.SCRATCH):
            (folder / name).mkdir()
        for number in range(2):
            image = np.random.default_rng(number).integers(0, 256, (137, 236), dtype=np.uint8)
            cv2.imwrite(str(folder / network.IMAGES / f"{number}.png"), image)
        say("exported")

    monkeypatch.setattr(network, "make", make)
    return make


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    assert list(place.iterdir()) == []


@pytest.fixture
def faked(monkeypatch):
    """Servers that only write down when they start, are asked and end; `faults[name, round]` is raised by one."""
    log, faults, turns = [], {}, dict.fromkeys(SERVERS, 0)

    def fake(name):
        @contextmanager
        def start(bundle, folder):
            turns[name] += 1
            assert list(folder.iterdir()) == []
            (folder / "written").write_text("x")
            log.append(("start", name))
            try:
                if fault := faults.get((name, turns[name])):
                    raise fault
                yield Serving(f"http://{name}/", lambda: [psutil.Process()])
            finally:
                log.append(("end", name))

        return Server(name, "onnx", lambda: None, start)

    def drive(url, bodies, clients, seconds, *, warm_up=None):
        assert len(bodies) == 2
        if warm_up is None:
            log.append(("settle", url.removeprefix("http://").rstrip("/")))
            return Answers([9.0], seconds, 0.02)
        log.append((clients, url.removeprefix("http://").rstrip("/")))
        return Answers([0.001 * clients], seconds, 0.02)

    monkeypatch.setattr(suite, "SERVERS", {name: fake(name) for name in SERVERS})
    monkeypatch.setattr(suite, "drive", drive)
    return log, faults


def started(log):
    return [name for what, name in log if what == "start"]


def test_servers_take_turns_one_at_a_time_and_each_is_asked_by_every_number_of_clients(
    handmade, temporary, faked, train_py
):
    log, _ = faked
    found = run(train_py.parent, Plan(["torchserve", "mms", "ray"], **SHORT))
    assert started(log) == ["torchserve", "mms", "ray", "ray", "mms", "torchserve", "torchserve", "mms", "ray"]
    for place in range(0, len(log), 5):
        name = log[place][1]
        assert log[place : place + 5] == [(what, name) for what in ("start", "settle", 1, 2, "end")]
    assert list(found.samples) == ["torchserve", "mms", "ray"]
    assert [one.latencies for one in found.samples["ray"][2]] == [[0.002]] * 3
    assert all(one.memory_mb > 10 for one in found.samples["ray"][1])
    assert (found.left_out, found.failed) == ({}, [])


@pytest.mark.parametrize("fault", [JobFailedError("answered 503"), InputError("no answer"), psutil.NoSuchProcess(1)])
def test_a_server_that_fails_is_left_out_with_its_reason_and_the_others_go_on(
    handmade, temporary, faked, train_py, fault
):
    log, faults = faked
    faults["mms", 2] = fault
    found = run(train_py.parent, Plan(["torchserve", "mms"], **SHORT))
    assert list(found.samples) == ["torchserve"]
    assert found.left_out == {"mms": str(fault)}
    assert found.failed == ["mms"]
    assert started(log).count("mms") == 2  # not again
    assert len(found.samples["torchserve"][1]) == 3
    assert [what for what, name in log if name == "mms"].count("end") == 2


def test_when_everything_fails_the_reasons_are_the_error(handmade, temporary, faked, train_py):
    _, faults = faked
    faults["mms", 1] = JobFailedError("gone")
    with pytest.raises(JobFailedError, match="mms: gone"):
        run(train_py.parent, Plan(["mms"], **SHORT))


def test_a_stop_ends_the_server_and_goes_through(handmade, temporary, faked, train_py):
    log, faults = faked
    faults["mms", 1] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(train_py.parent, Plan(["torchserve", "mms", "ray"], **SHORT))
    assert log[-1] == ("end", "mms")


def test_in_process_one_and_several_do_the_work_and_leave_no_process(handmade, temporary, train_py):
    before = set(psutil.Process().children(recursive=True))
    found = run(train_py.parent, Plan(["floor"], **(SHORT | {"rounds": 2, "seconds": 0.3})))
    assert list(found.samples) == ["onnx"]
    alone, both = found.samples["onnx"][1], found.samples["onnx"][2]
    assert len(alone) == len(both) == 2
    for one in (*alone, *both):
        assert one.seconds == pytest.approx(0.3)
        assert one.per_second > 5
        assert one.client_share is None
    assert both[0].memory_mb > 1.2 * alone[0].memory_mb
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_process_that_ends_is_told_in_its_last_words(handmade, tmp_path):
    handmade(None, tmp_path, [], [], lambda line: None)
    with pytest.raises(JobFailedError, match=r"aoti: a process ended: .*no aoti in this bundle"):
        inprocess.measure(tmp_path, "aoti", [1], 0.1, 0.0)


def test_one_that_is_not_installed_is_left_out_before_anything_starts(handmade, temporary, monkeypatch, train_py):
    monkeypatch.setattr(servers, "find_spec", lambda name: None)
    monkeypatch.setattr(servers, "python_of", lambda name: (_ for _ in ()).throw(InputError(f"{name}: not installed")))
    found = run(train_py.parent, Plan(["floor", "mms", "ray"], **(SHORT | {"rounds": 1})))
    assert list(found.samples) == ["onnx"]
    assert found.left_out == {
        "mms": "mms: not installed",
        "ray": "Ray Serve is not installed; pip install -e '.[ray]'",
    }
    assert found.failed == []


def test_without_java_there_is_nothing_to_measure_of_torchserve(temporary, monkeypatch, train_py):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match=r"torchserve cannot be measured: TorchServe needs Java 17"):
        run(train_py.parent, Plan(["torchserve"], **SHORT))


def test_without_a_compiler_the_other_formats_are_measured(monkeypatch):
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, *more, **options: None if "++" in name else which(name))
    formats, found, left_out = suite._subjects(["formats"])
    assert formats == ["torchscript", "onnx", "onnx_int8"]
    assert (found, list(left_out)) == ({}, ["aoti"])


def test_a_network_that_cannot_be_exported_is_said_in_one_line(temporary, train_py):
    with pytest.raises(InputError, match=r"^model\.backbone: .*nosuchnet"):
        run(train_py.parent, Plan(["floor"], overrides=["data=bengali", "model.backbone=timm/nosuchnet"]))
