"""How a command ends that is not read to its end."""

import subprocess
import sys

from okkhor.launching.exits import UNREAD

LONG = """
from okkhor.launching.exits import one_line_errors
with one_line_errors():
    for number in range(100_000):
        print(number)
"""

BROKEN = """
from okkhor.launching.exits import one_line_errors
with one_line_errors():
    raise BrokenPipeError(32, "a worker has gone")
"""


def test_a_reader_that_leaves_ends_a_command_without_a_word():
    writer = subprocess.Popen([sys.executable, "-c", LONG], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with writer:
        assert writer.stdout.readline() == "0\n"
        writer.stdout.close()
        said = writer.stderr.read()
    assert said == ""
    assert writer.returncode == UNREAD


def test_a_connection_that_breaks_is_a_fault_like_others():
    broken = (
        "from okkhor.launching.exits import one_line_errors\nwith one_line_errors():\n    raise BrokenPipeError(32)"
    )
    done = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True)
    assert done.returncode == 1
    assert "BrokenPipeError" in done.stderr
