"""The whole look at a data set: measure, find, draw, write the page and what lies beside it."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from okkhor.atomic import replacing
from okkhor.reports import style
from okkhor.reports.eda.cooccurrence import cooccurrence
from okkhor.reports.eda.distributions import distributions
from okkhor.reports.eda.duplicates import duplicates, find_duplicates
from okkhor.reports.eda.folds import folds
from okkhor.reports.eda.ink import ink
from okkhor.reports.eda.measuring import measure
from okkhor.reports.eda.opinions import Opinions
from okkhor.reports.eda.page import write_page
from okkhor.reports.eda.projection import Sheet, projection
from okkhor.reports.eda.samples import samples
from okkhor.reports.eda.section import Advance, DataSet, Section
from okkhor.reports.eda.suspects import contradicted, outvoted, suspects

SECTIONS = ("samples", "distributions", "cooccurrence", "ink", "duplicates", "suspects", "folds", "projection")

Step = Callable[[str], Advance]  # begins a step of that name, and gives what reports how far it is


def explore(data: DataSet, out: Path, name: str, opinions: Opinions | None, step: Step) -> list[Path]:
    """Write `out`/index.html with a picture and often a table for each section beside it; returns all files.

    opinions: of a trained network, which then says what labels are suspicious and lays the images on a plane. What
    an earlier look left there and this one does not write is removed. Memory holds no more than blocks of images.
    """
    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    sections: list[Section] = []
    sheet: Sheet | None = None

    def keep(section: Section | None) -> None:
        if section is None:
            return
        if section.figure is not None:
            written.append(style.save(section.figure, out / f"{section.name}.png"))
            section.figure.clear()  # what it drew from goes; that there is one is still known
        if section.table:
            written.append(_write_csv(section, out / f"{section.name}.csv"))
        sections.append(replace(section, table=[]))

    measured = step("measuring the images")
    found = measure(data.images, data.seed, measured)
    drawn = step("drawing samples and classes")
    for number, make in enumerate((samples, distributions, cooccurrence), 1):
        keep(make(data))
        drawn(number, 4)
    keep(ink(data, found))
    drawn(4, 4)
    keep(duplicates(data, find_duplicates(data, found, step("comparing pairs"))))
    doubted = step("looking for doubtful labels")
    if opinions is not None:
        keep(suspects(data, contradicted(data, opinions), len(opinions.rows), [], opinions))
    else:
        suspicious, right, asked = outvoted(data, found.shape, found.blank)
        keep(suspects(data, suspicious, asked, right, None))
    doubted(1, 1)
    divided = step("folds")
    keep(folds(data))
    divided(1, 1)
    if opinions is not None and len(opinions.features):
        placed = step("placing images on a plane")
        section, sheet = projection(data, opinions)
        keep(section)
        placed(1, 1)
    page = write_page(out / "index.html", name, data, sections, [path.name for path in written], sheet)
    _remove_others(out, written)
    return [page, *written]


def _write_csv(section: Section, path: Path) -> Path:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(section.table)
    return path


def _remove_others(out: Path, written: list[Path]) -> None:
    for name in SECTIONS:
        for path in (out / f"{name}.png", out / f"{name}.csv"):
            if path not in written:
                path.unlink(missing_ok=True)
