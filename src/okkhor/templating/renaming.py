"""How names and words change on the way into a copy: in texts and in paths."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from okkhor.templating.naming import Name

TEMPLATE = "Okkhor"
GIVEN = re.compile(r"\{\{ (\w+) \}\}")  # in the files that only a copy has


@dataclass(frozen=True)
class Renaming:
    """words: what is said otherwise, in this order; a word in lowercase letters also Capitalized and in CAPITALS."""

    name: Name
    words: Mapping[str, str] = field(default_factory=dict)

    def text(self, text: str, *, numbers: bool = True) -> str:
        """numbers: whether words that are numbers are replaced: in code they count classes, in a drawing pixels."""
        for pattern, replacement in self._replacements(numbers):
            text = pattern.sub(lambda _, to=replacement: to, text)
        return text

    def path(self, path: PurePosixPath) -> PurePosixPath:
        return PurePosixPath(self.text(str(path)))

    def _replacements(self, numbers: bool) -> list[tuple[re.Pattern[str], str]]:
        words = [(old, new) for old, new in self.words.items() if numbers or not old.isdecimal()]
        found = [pair for old, new in words for pair in _variants(old, new)]
        template = TEMPLATE.lower()
        found += [
            (re.compile(f"{TEMPLATE}(?=[A-Z])"), self.name.camel),
            (re.compile(TEMPLATE), self.name.title),
            (re.compile(template), self.name.word),
            (re.compile(template.upper()), self.name.upper),
        ]
        return found


def filled(text: str, values: Mapping[str, str]) -> str:
    """A text with `{{ key }}` replaced by its value; a key without a value is a mistake of ours."""
    return GIVEN.sub(lambda match: values[match[1]], text)


def _variants(old: str, new: str) -> list[tuple[re.Pattern[str], str]]:
    if old.isdecimal():
        return [(re.compile(rf"\b{old}\b"), new)]
    pairs = [(old, new)]
    if re.fullmatch(r"[a-z_]+", old):
        pairs += [(old[0].upper() + old[1:], new[:1].upper() + new[1:]), (old.upper(), new.upper())]
    return [(re.compile(re.escape(old)), new) for old, new in pairs]
