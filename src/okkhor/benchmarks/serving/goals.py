"""What the servers are to reach, and whether what was measured does."""

from collections.abc import Mapping
from typing import Any

from okkhor.benchmarks.rounds import Figure, Goal, Side

ALONE, MANY = 1, 16  # clients
# what is compared: (clients or processes, value of a round, subject) of ours and of the other; 0: all processors
GOALS = (
    (f"p50, {ALONE} client / in process", "p50_ms", "ms", (ALONE, "torchserve"), (1, "onnx"), Goal(1.25)),
    (
        f"{MANY} clients / a process each core", "per_second", "1/s", (MANY, "torchserve"), (0, "onnx"),
        Goal(0.9, at_least=True),
    ),
    (
        f"{MANY} clients / stock, eager", "per_second", "1/s", (MANY, "torchserve"), (MANY, "torchserve-stock"),
        Goal(3, at_least=True),
    ),
)  # fmt: skip


def goals(found: Mapping[str, Any]) -> tuple[list[Figure], list[str]]:
    """The comparisons, round by round, and those that cannot be made, each with what they lack.

    found: see `okkhor.benchmarks.serving.report.as_json`.
    """
    figures, lacking = [], []
    for name, value, unit, ours, other, goal in GOALS:
        sides = []
        for count, subject in (ours, other):
            key = str(count or max(found["settings"]["processes"]))
            measured = found["measured"].get(subject, {"loads": {}})
            if key not in measured["loads"]:
                lacking.append(f"{name}: {subject} was not measured with {key}")
                break
            sides.append(Side(measured["label"], unit, [one[value] for one in measured["loads"][key]["rounds"]]))
        else:
            figures.append(Figure("serving", name, *sides, goal))
    return figures, lacking
