"""What one measurement gave, and what several together say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil


@dataclass(frozen=True)
class Sample:
    """Answers of one window of time.

    latencies: seconds that each took, of those that came within the window; seconds: the window's; memory_mb: see
    `memory_of`; client_share: of one core, what the load generator took of it, None where nothing was sent.
    """

    latencies: Sequence[float]
    seconds: float
    memory_mb: float
    client_share: float | None = None

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def milliseconds(self, percent: float) -> float:
        """The latency that `percent` of the answers did not exceed, interpolated between the two nearest."""
        return 1000 * float(np.percentile(self.latencies, percent))

    def to_json(self) -> dict[str, Any]:
        return {
            "p50_ms": self.milliseconds(50),
            "p99_ms": self.milliseconds(99),
            "per_second": self.per_second,
            "answers": len(self.latencies),
            "memory_mb": self.memory_mb,
            "client_share": self.client_share,
        }


def together(samples: Sequence[Sample]) -> dict[str, Any]:
    """All rounds of one thing: percentiles of all their answers, medians of rate and memory, and each round."""
    every = Sample(np.concatenate([one.latencies for one in samples]), sum(one.seconds for one in samples), 0.0)
    return {
        "p50_ms": every.milliseconds(50),
        "p99_ms": every.milliseconds(99),
        "per_second": float(np.median([one.per_second for one in samples])),
        "answers": len(every.latencies),
        "memory_mb": float(np.median([one.memory_mb for one in samples])),
        "rounds": [one.to_json() for one in samples],
    }


def memory_of(processes: Iterable[psutil.Process]) -> float:
    """Memory of processes in MB, pages that several share counted once (PSS); elsewhere than on Linux the sum of RSS,
    which counts them for each."""
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().pss if counts_shared_once() else process.memory_info().rss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total / 1e6


def counts_shared_once() -> bool:
    """Whether this system tells PSS."""
    return Path("/proc/self/smaps").is_file()
