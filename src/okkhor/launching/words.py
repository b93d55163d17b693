"""The words of a command line: how they are spelled, what all jobs of a sweep have, what is varied between them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from okkhor.errors import InputError
from okkhor.training.options import Check, choice

DIRECTION: Check = choice("maximize", "minimize")
INNER_GROUPS = {"model.loss": "model/loss"}  # a group inside a group: as an option is typed -> as Hydra has it


@dataclass(frozen=True)
class Words:
    """The command line of a sweep, without what concerns the sweep itself.

    parts: by the name of what it sets, in the order typed: a word that all jobs share, or what a job takes one of.
    """

    parts: dict[str, str | Override]

    @property
    def fixed(self) -> list[str]:
        """The words that every job has."""
        return [part for part in self.parts.values() if isinstance(part, str)]

    @property
    def varied(self) -> dict[str, Override]:
        """What differs between jobs."""
        return {key: part for key, part in self.parts.items() if isinstance(part, Override)}

    def job(self, values: Mapping[str, str]) -> list[str]:
        """The words of one job; values: for each key of `varied`, as it is typed."""
        return [part if isinstance(part, str) else f"{key}={values[key]}" for key, part in self.parts.items()]


def read_words(loader: ConfigLoader, typed: Sequence[str], space: Mapping[str, Any] | None = None) -> Words:
    """Parse a command line as Hydra does; what is set twice is as it was set last.

    space: what is varied where `typed` varies nothing, as option -> choice(…), range(…) or interval(…); an option
    that was typed stays as typed. Raises InputError for a space that cannot be read, Hydra's own errors for `typed`.
    """
    parser = OverridesParser.create(config_loader=loader)
    parts: dict[str, str | Override] = {}
    for override in parser.parse_overrides([as_group(word) for word in typed]):
        if override.key_or_group == "sweep" or override.key_or_group.startswith("sweep."):
            continue
        key = override.get_key_element()
        parts[key] = override if override.is_sweep_override() else str(override.input_line)
    if any(isinstance(part, Override) for part in parts.values()):
        return Words(parts)
    names = {key.lstrip("+~") for key in parts}
    for key, value in (space or {}).items():
        try:
            override = parser.parse_override(as_group(f"{key}={value}"))
        except Exception as error:
            raise InputError(f"sweep.space.{key}: cannot be read: {str(error).splitlines()[0]}") from error
        if not override.is_sweep_override():
            raise InputError(f"sweep.space.{key}: expected choice(…), range(…) or interval(…), got {value}")
        if override.key_or_group not in names:
            parts[override.get_key_element()] = override
    return Words(parts)


def as_group(word: str) -> str:
    """A word that chooses of a group inside a group, model.loss=focal, in Hydra's spelling, model/loss=focal.

    One or several names are meant; any other value, and any other word, stays as it is.
    """
    key, _, value = word.partition("=")
    chooses = re.fullmatch(r"[a-zA-Z(\'\"].*", value, re.S) and value != "null"
    return f"{INNER_GROUPS[key]}={value}" if key in INNER_GROUPS and chooses else word


def choices(override: Override) -> list[str]:
    """All values of a choice, range or glob, as they are typed; raises InputError for an interval and for none."""
    if not override.is_discrete_sweep():
        raise InputError(
            f"{override.input_line}: an interval has no end of values; expected choice(…) or range(…), or sweep=optuna"
        )
    found = list(override.sweep_string_iterator())
    if not found:
        raise InputError(f"{override.input_line}: there is no value in it")
    return found


def check_sweep(block: Mapping[str, Any], checks: Mapping[str, Check]) -> None:
    """Raise InputError for the first option of the `sweep` group that holds what it cannot."""
    for name, (holds, expected) in checks.items():
        if not holds(block.get(name)):
            raise InputError(f"sweep.{name}: expected {expected}, got {block.get(name)!r}")
