"""Two machines, as far as one can hold them: two agents on loopback, two network namespaces joined by a cable."""

import os
import shutil
import socket
import subprocess
import sys
import time
import uuid

import pytest

from okkhor.runs import Run

pytestmark = pytest.mark.serial
SHORT = ["trainer=ddp_sim", "trainer.devices=1", "trainer.num_nodes=2", "trainer.max_epochs=2"]


@pytest.fixture
def two_hosts():
    """Names of two network namespaces that reach each other as 10.231.7.1 and 10.231.7.2 and nothing else."""
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("network namespaces need root and the `ip` command")
    tag = uuid.uuid4().hex[:6]
    hosts = [f"okkhor{tag}{n}" for n in (1, 2)]

    def ip(*words):
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        try:
            for host in hosts:
                ip("netns", "add", host)
            ip("link", "add", "cable1", "netns", hosts[0], "type", "veth", "peer", "name", "cable2", "netns", hosts[1])
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
        for number, host in enumerate(hosts, 1):
            ip("-n", host, "addr", "add", f"10.231.7.{number}/24", "dev", f"cable{number}")
            for device in (f"cable{number}", "lo"):
                ip("-n", host, "link", "set", device, "up")
        yield hosts
    finally:
        for host in hosts:
            subprocess.run(["ip", "netns", "del", host], check=False, capture_output=True)


@pytest.fixture
def run_on_two(compose, train_py):
    def train(address, port, prefixes):
        config = compose(*SHORT)
        run = Run.create(config.paths.runs, config.name)
        run.write_config(config)
        machines = []
        try:
            for rank, prefix in enumerate(prefixes):
                names = {"NODES": "2", "NODE_RANK": rank, "MAIN_ADDRESS": address, "MAIN_PORT": port}
                environment = os.environ | {f"OKKHOR_{name}": str(value) for name, value in names.items()}
                command = [*prefix, sys.executable, str(train_py), f"resume={run.path}"]
                pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
                machines.append(subprocess.Popen(command, env=environment, text=True, **pipes))
            ended = [machine.communicate(timeout=300) for machine in machines]
        finally:
            for machine in machines:
                machine.kill()
        assert [machine.returncode for machine in machines] == [0, 0], ended
        return run, [out for out, _ in ended]

    return train


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_two_machines_on_loopback_train_what_two_processes_train(run_on_two, command, tiny):
    run, printed = run_on_two("127.0.0.1", free_port(), [[], []])
    assert run.metrics()["epochs"] == 2
    assert [text.count("weighted") for text in printed] in ([1, 0], [0, 1])  # one rank of all shows the result
    alone = command("train.py", *tiny, "trainer=ddp_sim", "trainer.devices=2", "trainer.max_epochs=2", "name=alone")
    assert alone.returncode == 0, alone.stderr
    (other,) = (run.path.parent.parent / "alone").iterdir()
    assert (run.logs / "metrics.csv").read_text() == (Run.open(other).logs / "metrics.csv").read_text()


def test_two_hosts_with_networks_of_their_own_train_together(run_on_two, two_hosts):
    run, _ = run_on_two("10.231.7.1", 29400, [["ip", "netns", "exec", host] for host in two_hosts])
    assert run.metrics()["epochs"] == 2


def test_a_machine_that_was_started_first_waits_for_the_first_and_says_when_that_is_gone(compose, train_py, killable):
    config = compose(*SHORT[:-1], "trainer.max_epochs=500")
    run = Run.create(config.paths.runs, config.name)
    run.write_config(config)
    port, machines = free_port(), []

    def start(rank):
        names = {"NODES": "2", "NODE_RANK": rank, "MAIN_ADDRESS": "127.0.0.1", "MAIN_PORT": str(port)}
        environment = killable | {f"OKKHOR_{name}": value for name, value in names.items()}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        machines.append(
            subprocess.Popen([sys.executable, str(train_py), f"resume={run.path}"], env=environment, text=True, **pipes)
        )
        return machines[-1]

    try:
        second = start("1")
        assert second.stdout.readline() == f"waiting for the first machine at 127.0.0.1:{port}\n"
        first = start("0")
        deadline = time.monotonic() + 300
        while not run.last.is_file():
            assert time.monotonic() < deadline
            assert first.poll() is None, first.communicate()
            time.sleep(0.1)
        first.kill()
        _, errors = second.communicate(timeout=60)
    finally:
        for machine in machines:
            machine.kill()
            machine.communicate()
    assert second.returncode == 1
    last = errors.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert last.endswith(f"go on with: python train.py resume={run.path}")


def test_a_first_machine_that_cannot_be_found_is_one_line(command, compose):
    config = compose(*SHORT)
    run = Run.create(config.paths.runs, config.name)
    run.write_config(config)
    names = {"OKKHOR_NODE_RANK": "1", "OKKHOR_MAIN_ADDRESS": "no.such.host.invalid"}
    done = command("train.py", f"resume={run.path}", **names)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: OKKHOR_MAIN_ADDRESS=no.such.host.invalid: not to be reached from here (")


def test_a_machine_that_does_not_know_where_to_meet_is_told_how(command, tiny, tmp_path):
    done = command("train.py", *tiny, *SHORT)
    assert done.returncode == 2
    assert "OKKHOR_MAIN_ADDRESS" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list((tmp_path / "runs").glob("*/*"))
