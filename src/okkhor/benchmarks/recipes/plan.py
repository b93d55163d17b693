"""What the bench of recipes trains: rows of a YAML file, each a name, a group and the words of its command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from okkhor.errors import InputError

ROWS = Path(__file__).with_name("rows.yaml")
FIELDS = {"group", "words", "says", "evaluate", "until", "against"}


@dataclass(frozen=True)
class Row:
    """One line of the benchmark page.

    name: of its run directory; group: the table it stands in; words: of its command line, the shared ones first;
    says: what it is, for the page; evaluate: instead of training, options of scripts/evaluate.py for the run of the
    row `against`; until: stop as soon as val/score has reached this, and tell the time; against: the row that it is
    compared with.
    """

    name: str
    group: str
    words: tuple[str, ...]
    says: str
    evaluate: tuple[str, ...] = ()
    until: float | None = None
    against: str | None = None

    @property
    def trains(self) -> bool:
        return not self.evaluate


@dataclass(frozen=True)
class Plan:
    """The rows in their order; groups: group -> its heading, and how many of its rows run at a time."""

    rows: tuple[Row, ...]
    groups: dict[str, dict[str, Any]]

    def of(self, group: str) -> list[Row]:
        return [row for row in self.rows if row.group == group]

    def row(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)

    def chosen(self, names: Sequence[str]) -> list[Row]:
        """The rows with these names or of these groups, all where none is named, in the plan's order.

        Raises InputError for a name that is neither.
        """
        known = {row.name for row in self.rows} | set(self.groups)
        if unknown := [name for name in names if name not in known]:
            raise InputError(f"--only: no row or group {unknown[0]!r}; expected some of {', '.join(sorted(known))}")
        return [row for row in self.rows if not names or row.name in names or row.group in names]


def read_plan(path: Path = ROWS) -> Plan:
    """Read the rows; raises InputError naming the row and the field that cannot be."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML: {error}") from error
    groups: dict[str, dict[str, Any]] = content["groups"]
    rows: list[Row] = []
    for name, fields in content["rows"].items():
        rows.append(_row(f"{path.name}: rows.{name}", name, fields, groups, {row.name: row for row in rows}))
    return Plan(tuple(rows), groups)


def _row(key: str, name: str, fields: dict[str, Any], groups: dict[str, Any], before: dict[str, Row]) -> Row:
    if unknown := sorted(set(fields) - FIELDS):
        raise InputError(f"{key}.{unknown[0]}: no such field; expected {', '.join(sorted(FIELDS))}")
    group = fields.get("group")
    if group not in groups:
        raise InputError(f"{key}.group: expected one of {', '.join(groups)}, got {group!r}")
    against = fields.get("against", groups[group].get("against"))
    if against is not None and against not in before:
        raise InputError(f"{key}.against: expected a row that stands before it, got {against!r}")
    evaluate = tuple(fields.get("evaluate", ()))
    if evaluate and against is None:
        raise InputError(f"{key}.evaluate: expected `against`, the row whose run is evaluated")
    words = (*groups[group].get("words", ()), *fields.get("words", ()))
    return Row(name, group, words, fields.get("says", ""), evaluate, fields.get("until"), against)
