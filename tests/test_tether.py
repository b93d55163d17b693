"""A process that dies with its parent."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from okkhor.tether import PARENT

CHILD = "from okkhor.tether import tether; tether(); print('ready', flush=True); import time; time.sleep(60)"
FATHER = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_it_ends_when_its_parent_is_killed():
    father = subprocess.Popen([sys.executable, "-c", FATHER], stdout=subprocess.PIPE, text=True)
    try:
        child = int(father.stdout.readline())
        assert not gone(child)
    finally:
        father.kill()
        father.communicate()
    deadline = time.monotonic() + 20
    while not gone(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert gone(child)


def test_a_parent_that_was_gone_before_it_began_ends_it_too():
    code = "from okkhor.tether import tether_if_started; tether_if_started(); print('still here')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, PARENT: "1"}, check=False
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")


@pytest.mark.parametrize("variable", [PARENT, "TORCHELASTIC_RUN_ID"])
def test_only_what_was_started_for_someone_is_tethered(monkeypatch, variable):
    import okkhor.tether as module

    tied = []
    monkeypatch.setattr(module, "tether", lambda *parent: tied.append(parent))
    monkeypatch.delenv(PARENT, raising=False)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    module.tether_if_started()
    assert tied == []
    monkeypatch.setenv(variable, "77")
    module.tether_if_started()
    assert tied == [(77,) if variable == PARENT else ()]
    assert PARENT not in os.environ  # a child of this process is not tied to a grandparent
