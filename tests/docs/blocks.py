"""Commands of the documentation, run as a reader runs them: in a copy of the project, with a small configuration.

from docs.blocks import Block, read_blocks      what a page has to run, see okkhor.guide.blocks
def test_…(project):                            a fresh copy, see conftest
    done = project.run(block)                   a block in a shell, or in Python, of its own
    missing_lines(block.expected, done.stdout)  what should have been seen and was not
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import psutil

from okkhor.guide.blocks import RUN, Block, read_blocks

__all__ = ["RUN", "Block", "Project", "missing_lines", "read_blocks"]

ROOT = Path(__file__).resolve().parent.parent.parent
# what holds on the tests' machine alone; a command line still has the last word
SMALL = """\
# @package _global_
data:
  synthetic: {count: 500}
  size: [24, 40]
  batch_size: 32
  workers: 0
trainer:
  accelerator: cpu
  max_epochs: 1
  log_every_n_steps: 1
"""
OLD = 1_000_000_000  # 2001: make takes nothing in the copy for newer than the environment, and installs nothing
MARK = "OKKHOR_DOCS_COPY"  # in the environment of all that a copy's commands start
ELSEWHERE = ("OKKHOR_ROOT", "OKKHOR_RUNS", "OKKHOR_DATA", "OKKHOR_CACHE", "FORCE_COLOR")


class Project:
    """A copy of the project's files in `root`, with the environments and the rendered images of this one.

    rendered: a folder of 500 rendered images that becomes the copy's synthetic data set.
    """

    def __init__(self, root: Path, rendered: Path) -> None:
        self.root = root
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, names.split("\0")):
            if not (ROOT / name).is_file():  # removed, and not yet committed so
                continue
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
            os.utime(root / name, (OLD, OLD))
        for name in (".venv", ".servers"):
            if (ROOT / name).exists():
                (root / name).symlink_to(ROOT / name)
        (root / "configs" / "local" / "default.yaml").write_text(SMALL)
        (root / "data" / "synthetic").mkdir(parents=True)
        (root / "data" / "synthetic" / "500-0").symlink_to(rendered)

    @property
    def environment(self) -> dict[str, str]:
        """Of commands in the copy: its code, its folders, its virtual environment first in PATH."""
        kept = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
        source = str(self.root / "src")
        path = f"{self.root / '.venv' / 'bin'}{os.pathsep}{kept.get('PATH', '')}"
        return {**kept, "PYTHONPATH": source, "PATH": path, "COLUMNS": "120", MARK: str(self.root)}

    def run(self, block: Block, timeout: float = 1200) -> subprocess.CompletedProcess[str]:
        """What a block did; stderr is in stdout, in the order in which it was written."""
        command = ["bash", "-e", "-c", block.text] if block.language == "sh" else ["python", "-c", block.text]
        return subprocess.run(
            command, cwd=self.root, env=self.environment, text=True, timeout=timeout,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def end_all(self) -> list[str]:
        """Kill what the copy's commands have left running; returns the command lines of those."""
        left = [process for process in psutil.process_iter() if self._started(process)]
        told = []
        for process in left:
            try:
                told.append(" ".join(process.cmdline()) or process.name())
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(left, timeout=10)
        return told

    def _started(self, process: psutil.Process) -> bool:
        try:
            return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == str(self.root)
        except psutil.Error:
            return False


def missing_lines(expected: str, output: str) -> list[str]:
    """Lines of `expected` that the output does not have, in this order.

    A number stands for any number, `…` for anything or nothing, white space for any. A line without a letter says
    nothing.
    """
    missing, position = [], 0
    for line in expected.splitlines():
        if not any(character.isalpha() for character in line):
            continue
        if found := re.compile(_pattern(line.strip())).search(output, position):
            position = found.end()
        else:
            missing.append(line)
    return missing


_NUMBER = re.compile(r"[+−-]?\d+(?:[.,]\d+)*")


def _pattern(line: str) -> str:
    pieces = []
    for piece in re.split(rf"(…|\s+|{_NUMBER.pattern})", line):
        if piece == "…":
            pieces.append(r"[^\n]*")
        elif piece.isspace():
            pieces.append(r"[^\S\n]+")
        elif _NUMBER.fullmatch(piece):
            pieces.append(_NUMBER.pattern)
        else:
            pieces.append(re.escape(piece))
    return "".join(pieces)
