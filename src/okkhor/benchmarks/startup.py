"""How long `python train.py --help` takes beside `python -c "import torch"`, from start to end of the process."""

import subprocess
import sys
import time

from okkhor.benchmarks.rounds import Figure, Goal, Side, Tick, alternate
from okkhor.benchmarks.setting import Setting

GOAL = Goal(1.5, of="ours")


def measure(setting: Setting, tick: Tick) -> list[Figure]:
    """One figure; its goal is in seconds, the ratio tells what they would be on another machine."""
    commands = {"help": [str(setting.root / "train.py"), "--help"], "import": ["-c", "import torch"]}
    for words in commands.values():
        seconds_of(*words)  # compiles what was not compiled yet
    sides = {name: lambda words=words: seconds_of(*words) for name, words in commands.items()}
    results = alternate(sides, setting.rounds, tick, "startup")
    ours, other = Side("train.py --help", "s", results["help"]), Side("import torch", "s", results["import"])
    return [Figure("startup", "--help / import torch", ours, other, GOAL)]


def seconds_of(*words: str) -> float:
    """Seconds of a Python process; raises CalledProcessError where it fails."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start
