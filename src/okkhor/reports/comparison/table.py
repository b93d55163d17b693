"""The comparison as a table for a terminal, and as two CSV files."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.table import Table
from rich.text import Text

from okkhor.atomic import replacing
from okkhor.reports.comparison.standing import Estimate, Standing
from okkhor.reports.naming import Naming
from okkhor.reports.reading import read_duration

COST = ("time", "epochs", "images/s", "parameters")
MOST_NAME = 34  # characters of a run's name, and of what it differs in, on a line


def head_names(found: Sequence[Standing]) -> list[str]:
    """Heads of all runs, in their order."""
    return list(dict.fromkeys(name for standing in found for name in standing.recalls))


def read_estimate(estimate: Estimate, *, signed: bool = False) -> tuple[str, str]:
    """The number, and its interval, which need not lie evenly around it."""
    sign = "+" if signed else ""
    return f"{estimate.value:{sign}.4f}", f"{estimate.low:{sign}.3f} to {estimate.high:{sign}.3f}"


def read_count(count: float | None) -> str:
    """A number of parameters, short: 0.52 M."""
    if count is None:
        return ""
    return f"{count / 1e6:.2f} M" if count >= 1e5 else f"{count:,.0f}"


def cost_cells(standing: Standing) -> list[str]:
    """Time, epochs, images a second, parameters, as far as they are known."""
    run = standing.compared
    epochs, speed = run.metrics.get("epochs"), run.images_per_second
    return [
        "" if run.seconds is None else read_duration(run.seconds),
        "" if epochs is None else f"{epochs:g}",
        "" if speed is None else f"{speed:.0f}",
        read_count(run.parameters),
    ]


def comparison_tables(found: Sequence[Standing], width: int) -> list[Table]:
    """A row a run, best first, intervals in small print; colored where a run differs clearly from the reference.

    width: of the console; where one table does not fit, scores and cost get one each.
    """
    names, least = head_names(found), max(len(standing.name) for standing in found)
    wide = min(least, MOST_NAME) + sum(len(name) + 2 for name in (*names, *COST)) + 2 * 18
    parts = [(True, True)] if wide <= width else [(True, False), (False, True)]
    return [_table(found, names, *part) for part in parts]


def _table(found: Sequence[Standing], names: Sequence[str], scores: bool, cost: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("run", overflow="fold", max_width=MOST_NAME, min_width=8)
    for name in (*(("score", "difference", *names) if scores else ()), *(COST if cost else ())):
        table.add_column(name, justify="right", no_wrap=True)
    for standing in found:
        cells = [_two_lines(standing.name, standing.compared.differs if scores else "")]
        if scores:
            cells += [_two_lines(*read_estimate(standing.score)), _difference(standing)]
            recalls = (standing.recalls.get(name) for name in names)
            cells += [Text("" if recall is None else f"{recall.value:.4f}") for recall in recalls]
        table.add_row(*cells, *(map(Text, cost_cells(standing)) if cost else ()))
    return table


def _difference(standing: Standing) -> Text:
    if standing.difference is None:
        return Text("reference" if standing.is_reference else "other images", style="dim")
    clear = "bold green" if standing.difference.value > 0 else "bold red"
    return _two_lines(*read_estimate(standing.difference, signed=True), clear if standing.difference.clear else "")


def _two_lines(first: str, second: str, style: str = "") -> Text:
    return Text.assemble((first, style), *([("\n" + second, "dim")] if second else []))


def write_scores(found: Sequence[Standing], path: Path) -> Path:
    """A row a run: numbers in full, empty where unknown."""
    heads = head_names(found)
    numbers = ["score", "difference", *(f"recall_{name}" for name in heads)]
    header = ["run", "path", "differs", "reference", "images"]
    header += [f"{name}{end}" for name in numbers for end in ("", "_low", "_high")]
    header += ["seconds", "epochs", "images_per_second", "parameters"]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(header)
        for standing in found:
            run = standing.compared
            row = [standing.name, run.run.path, run.differs, int(standing.is_reference), len(run.predictions.image_ids)]
            for estimate in (standing.score, standing.difference, *(standing.recalls.get(name) for name in heads)):
                values = () if estimate is None else (estimate.value, estimate.low, estimate.high)
                row += [f"{value:.6f}" for value in values] or [""] * 3
            cost = (run.seconds, run.metrics.get("epochs"), run.images_per_second, run.parameters)
            rows.writerow(
                row + ["" if value is None else f"{value:g}" if value < 1e4 else round(value) for value in cost]
            )
    return path


def write_classes(rival: Standing, reference: Standing, naming: Naming, path: Path) -> Path:
    """A row for each class that has images: how many both runs read right, most gained first within a head."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["head", "class", "name", "images", "right_reference", "right_rival", "recall_change"])
        for ours, theirs in zip(rival.results, reference.results, strict=True):
            change = ours.hits - theirs.hits
            share = np.divide(change, ours.count, out=np.full(len(change), np.nan), where=ours.count > 0)
            for label in np.argsort(-share, kind="stable"):
                if ours.count[label]:
                    rows.writerow([
                        ours.head.name, label, naming.of(ours.head, label), ours.count[label], theirs.hits[label],
                        ours.hits[label], f"{share[label]:.4f}",
                    ])  # fmt: skip
    return path
