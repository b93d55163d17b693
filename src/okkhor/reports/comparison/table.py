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


def head_names(found: Sequence[Standing]) -> list[str]:
    """Heads of all runs, in their order."""
    return list(dict.fromkeys(name for standing in found for name in standing.recalls))


def read_estimate(estimate: Estimate | None, *, signed: bool = False) -> str:
    """As `0.912 ±` would be, but with the interval itself, which need not be even: 0.912 (0.904 to 0.921)."""
    if estimate is None:
        return ""
    sign = "+" if signed else ""
    return f"{estimate.value:{sign}.4f} ({estimate.low:{sign}.3f} to {estimate.high:{sign}.3f})"


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


def comparison_table(found: Sequence[Standing]) -> Table:
    """A row a run, best first; bold what differs clearly from the reference."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("run", overflow="fold")
    if any(standing.compared.differs for standing in found):
        table.add_column("differs in", overflow="fold")
    for name in ("score", "to the reference", *head_names(found), "time", "epochs", "images/s", "parameters"):
        table.add_column(name, justify="right")
    for standing in found:
        cells = [Text(standing.name)]
        if any(other.compared.differs for other in found):
            cells.append(Text(standing.compared.differs))
        cells.append(Text(read_estimate(standing.score)))
        difference = Text(read_estimate(standing.difference, signed=True))
        if standing.is_reference:
            difference = Text("reference", style="dim")
        elif standing.difference is None:
            difference = Text("other images", style="dim")
        elif standing.difference.clear:
            difference.stylize("bold green" if standing.difference.value > 0 else "bold red")
        cells.append(difference)
        for name in head_names(found):
            cells.append(Text(f"{standing.recalls[name].value:.4f}" if name in standing.recalls else ""))
        table.add_row(*cells, *map(Text, cost_cells(standing)))
    return table


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
