"""What a killed process leaves running, it ends; what was there before stays."""

import contextlib
import signal
import subprocess
import sys
import time

import psutil
import pytest

SLEEPER = "import time; time.sleep(120)"
# a descendant in a session of its own, whose own parent ends: nothing but having been seen ties it to the starter
WANDERER = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {SLEEPER!r}], start_new_session=True)
print(child.pid, flush=True)
time.sleep(3)
"""
STARTER = f"""
import subprocess, sys, time
from okkhor.launching.reaper import Reaper
before = subprocess.Popen([sys.executable, "-c", {SLEEPER!r}])
reaper = Reaper(sys.argv[1])
child = subprocess.Popen([sys.executable, "-c", {SLEEPER!r}], start_new_session=True)
middle = subprocess.Popen([sys.executable, "-c", {WANDERER!r}], stdout=subprocess.PIPE, text=True)
print(before.pid, child.pid, int(middle.stdout.readline()), flush=True)
middle.wait()
print("alone", flush=True)
if sys.argv[2] == "waits":
    time.sleep(120)
reaper.finish()
print("finished", flush=True)
before.wait()
"""


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def start(tmp_path):
    """start(how) -> the starter, its folder, and three processes: one from before, a child, one whose parent ended."""
    ids, starters = [], []

    def make(how):
        folder = tmp_path / "folder"
        folder.mkdir()
        (folder / "socket").touch()
        starter = subprocess.Popen(
            [sys.executable, "-c", STARTER, str(folder), how], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        starters.append(starter)
        ids.extend(map(int, starter.stdout.readline().split()))
        assert starter.stdout.readline() == "alone\n"
        assert all(map(runs, ids))
        return starter, folder, ids

    yield make
    for pid in ids:
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()
    for starter in starters:
        starter.kill()
        starter.communicate()


def test_what_a_killed_process_started_is_ended_and_its_folder_removed(start):
    starter, folder, (before, *started) = start("waits")
    starter.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while (any(map(runs, started)) or folder.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(runs, started))
    assert not folder.exists()
    assert runs(before)


def test_it_is_done_when_finish_returns(start):
    starter, folder, (before, *started) = start("finishes")
    assert starter.stdout.readline() == "finished\n"
    assert not any(map(runs, started))
    assert not folder.exists()
    assert runs(before)
