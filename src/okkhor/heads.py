"""Contract 3: the heads of a task, from which losses, metrics, output slices and reports derive."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from okkhor.errors import InputError


@dataclass(frozen=True)
class Head:
    """One classification decision of a model.

    name: how metrics call it (`val/recall_<name>`); column: its label column in the data files;
    classes: number of classes, labels run from 0 to classes - 1; weight: share in loss and score, any positive scale.
    """

    name: str
    column: str
    classes: int
    weight: float = 1.0


class Heads(tuple[Head, ...]):
    """The heads in their order: that of label columns, logits and probabilities."""

    __slots__ = ()

    @classmethod
    def from_config(cls, block: Mapping[str, Mapping[str, Any]]) -> "Heads":
        """Read a `heads:` block, `{name: {column, classes, weight}}`.

        Raises InputError naming the key when a head lacks a field or holds a value that cannot be.
        """
        if not block:
            raise InputError("data.heads: expected at least one head, as `root: {column: grapheme_root, classes: 168}`")
        heads = []
        for name, fields in block.items():
            key = f"data.heads.{name}"
            known = dict(fields)
            unknown = set(known) - {"column", "classes", "weight"}
            if unknown:
                raise InputError(f"{key}: unknown field {sorted(unknown)[0]!r}; expected column, classes, weight")
            column, classes, weight = known.get("column", name), known.get("classes"), known.get("weight", 1.0)
            if isinstance(classes, bool) or not isinstance(classes, int) or classes < 2:
                raise InputError(f"{key}.classes: expected an integer of at least 2, got {classes!r}")
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight > 0:
                raise InputError(f"{key}.weight: expected a number above 0, got {weight!r}")
            heads.append(Head(str(name), str(column), classes, float(weight)))
        return cls(heads)

    def to_config(self) -> dict[str, dict[str, Any]]:
        """The block that `from_config` reads back to equal heads."""
        return {head.name: {k: v for k, v in asdict(head).items() if k != "name"} for head in self}

    @property
    def names(self) -> list[str]:
        return [head.name for head in self]

    @property
    def columns(self) -> list[str]:
        return [head.column for head in self]

    @property
    def classes(self) -> list[int]:
        return [head.classes for head in self]

    @property
    def shares(self) -> list[float]:
        """Weights scaled to sum to 1: 2:1:1 becomes 0.5, 0.25, 0.25."""
        total = sum(head.weight for head in self)
        return [head.weight / total for head in self]

    def slices(self) -> Iterator[tuple[Head, slice]]:
        """Each head with its columns in the concatenated logits (B, sum of classes)."""
        start = 0
        for head in self:
            yield head, slice(start, start + head.classes)
            start += head.classes
