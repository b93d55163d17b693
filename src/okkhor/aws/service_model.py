"""Checks a request against botocore's description of the service, without a call and without credentials.

botocore itself looks at types and required members alone. Lengths, ranges, patterns and allowed values stand in its
data as well, and the service refuses what breaks them; here that is known before anything is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from okkhor.errors import InputError

SHOWN = 80  # characters of a value that is told
NAMED = 8  # of the allowed values, at most this many are told


def check(service: str, operation: str, request: Mapping[str, Any]) -> None:
    """Raise InputError with everything that the service's model refuses in a request.

    service: as boto3 calls it, `sagemaker`; operation: `CreateModel`; request: its members as boto3 takes them.
    """
    if found := faults(service, operation, request):
        raise InputError(f"{operation}: the service would refuse it: {'; '.join(found)}")


def faults(service: str, operation: str, request: Mapping[str, Any]) -> list[str]:
    """What the service's model refuses in a request: a line for each, with the path of the member; see `check`."""
    shape = _model(service).operation_model(operation).input_shape
    return [] if shape is None else _faults(shape, request, "")


@cache
def _model(service: str) -> Any:
    try:
        from botocore.loaders import Loader
        from botocore.model import ServiceModel
    except ImportError as error:
        raise InputError(f"{service}: botocore is not installed; pip install -e '.[sagemaker]'") from error
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def _faults(shape: Any, value: Any, path: str) -> list[str]:
    kind = shape.type_name
    expected = KINDS.get(kind)
    wrong = expected and (not isinstance(value, expected) or (isinstance(value, bool) and kind != "boolean"))
    if wrong:
        return [f"{path or 'the request'}: {_told(value)} is {type(value).__name__}, expected {kind}"]
    if kind == "structure":
        missing = [f"{_in(path, name)}: missing" for name in shape.required_members if name not in value]
        unknown = [f"{_in(path, name)}: unknown" for name in value if name not in shape.members]
        inside = [(shape.members[name], value[name], _in(path, name)) for name in value if name in shape.members]
        return missing + unknown + [fault for one in inside for fault in _faults(*one)]
    found = _out_of_bounds(shape, value, path)
    if kind == "list":
        return found + [fault for i, one in enumerate(value) for fault in _faults(shape.member, one, f"{path}[{i}]")]
    if kind == "map":
        keys = [fault for key in value for fault in _faults(shape.key, key, f"{path}: key")]
        return found + keys + [fault for key in value for fault in _faults(shape.value, value[key], _in(path, key))]
    return found + (_not_allowed(shape, value, path) if kind == "string" else [])


KINDS: dict[str, Any] = {
    "structure": Mapping,
    "map": Mapping,
    "list": list | tuple,
    "string": str,
    "integer": int,
    "long": int,
    "float": int | float,
    "double": int | float,
    "boolean": bool,
}


def _out_of_bounds(shape: Any, value: Any, path: str) -> list[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    sized = isinstance(value, str | list | tuple | Mapping)
    measure = len(value) if sized else value
    if not isinstance(measure, int | float) or isinstance(measure, bool):
        return []
    unit = {"string": " characters", "list": " items", "map": " entries"}.get(shape.type_name, "")
    if most is not None and measure > most:
        return [f"{path}: {measure:,}{unit}, at most {most:,}"]
    if least is not None and measure < least:
        return [f"{path}: {measure:,}{unit}, at least {least:,}"]
    return []


def _not_allowed(shape: Any, value: str, path: str) -> list[str]:
    if (choices := shape.enum) and value not in choices:
        near = [one for one in choices if one.split(".")[:2] == value.split(".")[:2]] or choices
        told = ", ".join(near[:NAMED]) + (" …" if len(near) > NAMED else "")
        return [f"{path}: {_told(value)} is none of {told}"]
    written = shape.metadata.get("pattern")
    pattern = _pattern(written) if written else None
    return [f"{path}: {_told(value)} does not match {written}"] if pattern and not pattern.fullmatch(value) else []


@cache
def _pattern(pattern: str) -> re.Pattern[str] | None:
    """A pattern as Python writes it; None where it uses what Python has no words for, which is then not checked."""
    for theirs, ours in JAVA_PATTERNS.items():
        pattern = pattern.replace(theirs, ours)
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:
        return None


# the services write patterns as Java does
JAVA_PATTERNS = {
    r"\p{L}": r"\w",
    r"\p{N}": r"\d",
    r"\p{Z}": r"\s",
    r"\p{Alnum}": "a-zA-Z0-9",
    r"\p{ASCII}": r"\x00-\x7f",
    r"\p{Print}": r"[\x20-\x7e]",
    r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010FFFF",
}


def _in(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _told(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
