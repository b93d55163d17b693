"""Parquet to images: building the store against `pandas.read_parquet`, seconds and peak memory.

Both read the same wide file, in a process of its own, from the page cache; the clock starts after the imports. pandas
ends with a frame in memory. The store's side checks ids, columns and labels, and ends with a store on disk.
Memory is anonymous memory, which no other process shares and the system cannot drop, of the whole process.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from okkhor.benchmarks.rounds import Figure, Goal, Side, Tick, alternate
from okkhor.benchmarks.setting import Setting, extra

INTERVAL = 0.005  # seconds between two looks at a process's memory
TIME, MEMORY = Goal(1.0), Goal(0.25)


def measure(setting: Setting, tick: Tick) -> list[Figure]:
    """Two figures, time and memory."""
    heads, size = setting.task()
    task = json.dumps({"heads": heads.to_config(), "size": size})
    stores = setting.scratch / "ingest"

    def store() -> tuple[float, float]:
        shutil.rmtree(stores, ignore_errors=True)
        return observed("store", str(setting.data), str(stores), task)

    def frame() -> tuple[float, float]:
        return observed("frame", str(setting.data / "train_image_data_0.parquet"))

    results = alternate({"store": store, "frame": frame}, setting.rounds, tick, "ingest")
    shutil.rmtree(stores)
    (seconds, peak), (other_seconds, other_peak) = (zip(*results[name], strict=True) for name in ("store", "frame"))
    return [
        Figure(
            "ingest",
            "store / read_parquet",
            Side("store", "s", list(seconds)),
            Side("pandas.read_parquet", "s", list(other_seconds)),
            TIME,
        ),
        Figure(
            "ingest",
            "store / read_parquet",
            Side("store", "MB", list(peak)),
            Side("pandas.read_parquet", "MB", list(other_peak)),
            MEMORY,
        ),
    ]


def observed(*words: str) -> tuple[float, float]:
    """Seconds and peak megabytes of `main(words)` in a process of its own; raises RuntimeError where it fails."""
    psutil = extra("psutil")
    command = [sys.executable, "-m", "okkhor.benchmarks.ingest", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            watched, peak = psutil.Process(process.pid), 0
            while process.poll() is None:
                try:
                    peak = max(peak, anonymous(watched))
                except psutil.Error:
                    break  # it ended meanwhile
                time.sleep(INTERVAL)
            said = process.communicate()[0]
        finally:
            process.kill()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: ended with status {process.returncode}")
    return json.loads(said)["seconds"], peak / 1e6


def anonymous(process: Any) -> int:
    """Bytes of anonymous memory of a psutil.Process: Linux's RssAnon, elsewhere what is unique to the process."""
    memory = process.memory_info()
    if hasattr(memory, "shared"):
        return memory.rss - memory.shared  # of Linux's statm: all that is resident, and what files or others back
    return process.memory_full_info().uss


def main(words: list[str]) -> None:
    """`store DATA_DIR CACHE_DIR TASK` or `frame FILE`: do it and print the seconds as JSON."""
    if words[0] == "frame":
        import pandas as pd

        start = time.perf_counter()
        frame = pd.read_parquet(words[1])
        seconds = time.perf_counter() - start
        assert len(frame)
    else:
        from okkhor.data.store import competition_store
        from okkhor.heads import Heads

        task = json.loads(words[3])
        heads, size = Heads.from_config(task["heads"]), (task["size"][0], task["size"][1])
        start = time.perf_counter()
        competition_store(words[1], heads, size=size, cache_dir=Path(words[2]), progress=False)
        seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1:])
