"""The page of the bench: what each augmentation, loss, trick and decision rule is worth, as Markdown."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from okkhor.benchmarks.recipes.plan import Plan, Row
from okkhor.reports.reading import read_duration

Found = dict[str, Any]
SCORE, UNSEEN = "val/score", "val/score_unseen"


@dataclass(frozen=True)
class Noise:
    """What the seeds of the baseline gave: their mean, and their range, within which a difference says nothing."""

    mean: float
    range: float
    unseen: float | None
    seeds: int

    def verdict(self, score: float) -> str:
        """better, worse, or none where the difference is not larger than the range of the seeds."""
        difference = score - self.mean
        return "none" if abs(difference) <= self.range else "better" if difference > 0 else "worse"


def noise(plan: Plan, results: Mapping[str, Found], group: str = "baseline") -> Noise | None:
    """The baseline's noise; None while fewer than two of its seeds have ended."""
    found = [results[row.name]["metrics"] for row in plan.of(group) if row.name in results]
    if len(found) < 2:
        return None
    scores = [metrics[SCORE] for metrics in found]
    unseen = [metrics[UNSEEN] for metrics in found if UNSEEN in metrics]
    return Noise(
        statistics.mean(scores),
        max(scores) - min(scores),
        statistics.mean(unseen) if unseen else None,
        len(found),
    )


def page(plan: Plan, results: Mapping[str, Found], command: str) -> str:
    """The whole page; rows that have no result yet are listed as not measured."""
    base = noise(plan, results)
    parts = [HEAD.format(command=command), _machines(results), _in_short(plan, results, base)]
    for group, settings in plan.groups.items():
        rows = plan.of(group)
        if not rows:
            continue
        parts.append(f"## {settings['heading']}\n")
        if text := settings.get("text"):
            parts.append(text.strip() + "\n")
        race = any(row.until is not None for row in rows)
        parts.append(_race(rows, results) if race else _table(plan, rows, results, base))
        if group == "baseline" and base is not None:
            parts.append(
                f"Mean of {base.seeds} seeds {base.mean:.4f}, range {base.range:.4f}: a difference from the mean of no "
                "more than that is called none below.\n"
            )
    return "\n".join(parts)


def _in_short(plan: Plan, results: Mapping[str, Found], base: Noise | None) -> str:
    """Which rows helped, did nothing, cost: each sorted by its difference, best first."""
    if base is None:
        return ""
    differences: dict[str, list[tuple[float, str]]] = {"better": [], "none": [], "worse": []}
    for row in plan.rows:
        if row.group == "baseline" or row.until is not None or row.name not in results:
            continue
        if (difference := _difference(plan, row, results[row.name]["metrics"], results, base)) is not None:
            differences[base.verdict(base.mean + difference)].append((difference, row.name))
    lines = [
        f"- {title}: " + ", ".join(f"{name} ({by:+.3f})" for by, name in sorted(differences[verdict], reverse=True))
        for verdict, title in (("better", "Helped"), ("none", "Within the noise"), ("worse", "Cost"))
        if differences[verdict]
    ]
    return "\n".join(["## In short\n", *lines, ""]) if lines else ""


def _table(plan: Plan, rows: list[Row], results: Mapping[str, Found], base: Noise | None) -> str:
    lines = [
        "| row | what is different | score | difference | | unseen graphemes | time |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        found = results.get(row.name)
        if found is None:
            lines.append(f"| {row.name} | {row.says} | not measured | | | | |")
            continue
        metrics = found["metrics"]
        difference, verdict = _against(plan, row, metrics, results, base)
        unseen = f"{metrics[UNSEEN]:.3f}" if UNSEEN in metrics else ""
        lines.append(
            f"| {row.name} | {row.says} | {metrics[SCORE]:.4f} | {difference} | {verdict} | {unseen} "
            f"| {read_duration(metrics['seconds'])} |"
        )
    return "\n".join(lines) + "\n"


def _against(
    plan: Plan, row: Row, metrics: Mapping[str, float], results: Mapping[str, Found], base: Noise | None
) -> tuple[str, str]:
    """The difference from what a row is compared with, and what to call it."""
    if row.group == "baseline" or base is None:
        return "", ""
    if (difference := _difference(plan, row, metrics, results, base)) is None:
        return "", ""
    return f"{difference:+.4f}" + (f" to {row.against}" if row.against else ""), base.verdict(base.mean + difference)


def _difference(
    plan: Plan, row: Row, metrics: Mapping[str, float], results: Mapping[str, Found], base: Noise
) -> float | None:
    """How much a row's score is above what it is compared with; None where that is not measured.

    A group that stands apart, of another length than the baseline, has a row that others are compared with and that
    is itself compared with nothing.
    """
    if row.against is None:
        return None if plan.groups[row.group].get("apart") else metrics[SCORE] - base.mean
    return metrics[SCORE] - results[row.against]["metrics"][SCORE] if row.against in results else None


def _race(rows: list[Row], results: Mapping[str, Found]) -> str:
    lines = ["| row | what it is | reached | after | epochs |", "|---|---|---|---|---|"]
    seconds: dict[str, float] = {}
    for row in rows:
        metrics = results.get(row.name, {}).get("metrics")
        if metrics is None:
            lines.append(f"| {row.name} | {row.says} | not measured | | |")
            continue
        reached = metrics[SCORE] >= (row.until or 0)
        if reached:
            seconds[row.name] = metrics["seconds"]
        told = f"{metrics[SCORE]:.3f}" + ("" if reached else f", never {row.until}")
        lines.append(
            f"| {row.name} | {row.says} | {told} | {read_duration(metrics['seconds'])} | {metrics['epochs']:.0f} |"
        )
    if len(seconds) == len(rows) == 2:
        first, second = (seconds[row.name] for row in rows)
        lines.append(f"\n{rows[1].name} takes {second / first:.1f} times as long as {rows[0].name}.")
    return "\n".join(lines) + "\n"


def _machines(results: Mapping[str, Found]) -> str:
    seen = {
        f"{found['machine']['processor']}, {found['machine']['usable_cores']} cores, "
        f"PyTorch {found['machine']['packages']['torch']}"
        for found in results.values()
    }
    return "Measured on: " + "; ".join(sorted(seen)) + ".\n" if seen else ""


HEAD = """# What each part of a recipe is worth

`{command}` trains every row below as a run of its own and writes this page; stopped, it goes on where it was.
Score: weighted macro recall of the validation images of fold 0. Unseen graphemes: the same, of those images whose
combination of labels training never saw. A single row is one seed, and says what a part is worth in so short a
training: `experiment=sample` sees thirteen times as many images, and its file says what it keeps.
"""
