"""Two sides measured in turn: what each round gave, their ratio, the goal beside it."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

T = TypeVar("T")
Tick = Callable[[str], None]  # told what was just done; moves the progress display one step on


@dataclass(frozen=True)
class Side:
    """What one side gave in each round. label: what it is, for the table; unit: of the numbers."""

    label: str
    unit: str
    rounds: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    def to_json(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.rounds),
            "max": max(self.rounds),
            "rounds": self.rounds,
        }


@dataclass(frozen=True)
class Goal:
    """A limit for the median. at_least: it is a floor, otherwise a ceiling; of: the ratio, or our side alone."""

    limit: float
    at_least: bool = False
    of: Literal["ratio", "ours"] = "ratio"


@dataclass(frozen=True)
class Figure:
    """One comparison. part: which part of the bench it comes from; name: what is compared; goal: None for a figure
    that only explains another."""

    part: str
    name: str
    ours: Side
    other: Side
    goal: Goal | None = None

    @property
    def ratio(self) -> Side:
        """Ours to theirs, round by round: neighbors in time shared the machine's moods."""
        pairs = zip(self.ours.rounds, self.other.rounds, strict=True)
        return Side("ratio", "×", [ours / other for ours, other in pairs])

    @property
    def met(self) -> bool | None:
        """Whether the median keeps the goal; None without one."""
        if self.goal is None:
            return None
        value = (self.ratio if self.goal.of == "ratio" else self.ours).median
        return value >= self.goal.limit if self.goal.at_least else value <= self.goal.limit

    def to_json(self) -> dict[str, Any]:
        goal = self.goal and {"of": self.goal.of, "at_least" if self.goal.at_least else "at_most": self.goal.limit}
        return {
            "part": self.part,
            "name": self.name,
            "ours": self.ours.to_json(),
            "other": self.other.to_json(),
            "ratio": self.ratio.to_json(),
            "goal": goal,
            "met": self.met,
        }


def alternate(sides: Mapping[str, Callable[[], T]], rounds: int, tick: Tick, part: str) -> dict[str, list[T]]:
    """Measure every side once a round, the order reversed in every second one. Returns the results of each side.

    What else the machine does, and what one side leaves behind for the next, meets all of them alike.
    """
    results: dict[str, list[T]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in reversed(sides) if number % 2 else sides:
            results[name].append(sides[name]())
        tick(f"{part}: round {number + 1} of {rounds}")
    return results
