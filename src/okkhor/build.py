"""From a block of the configuration to an object: the only module that calls Hydra's instantiate."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig

from okkhor.errors import InputError
from okkhor.own_code import reach_own_code


def build(node: DictConfig, key: str, *positional: Any, **extra: Any) -> Any:
    """Instantiate a `_target_` block, named `key` in messages.

    The target may be a class of your own, of a module beside train.py or on PYTHONPATH.
    Raises InputError with the config key for an argument the target does not know or a value it refuses.
    """
    target = str(node.get("_target_"))
    reach_own_code()
    try:
        check_arguments(get_object(target), node, key)
        return instantiate(node, *positional, **extra, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, InputError):
            raise cause from error
        if isinstance(cause, TypeError | ValueError | ImportError | RuntimeError) or not error.__cause__:
            raise InputError(f"{key}: {_first_line(cause)}") from error
        raise
    except (ImportError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{key}._target_: cannot load {target}: {_first_line(error)}") from error


def check_arguments(target: Callable[..., Any], node: Mapping[str, Any], key: str) -> None:
    """Refuse a key that is no argument of the target, and name the nearest that is."""
    parameters = inspect.signature(target).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for name in node:
        if str(name).startswith("_") or name in parameters:
            continue
        near = difflib.get_close_matches(str(name), parameters, 1)
        hint = f"; did you mean {key}.{near[0]}?" if near else f"; expected one of {', '.join(parameters)}"
        raise InputError(f"{key}.{name}: no such option of {target.__qualname__}{hint}")


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("Error in call to target"):
        return lines[1]  # Hydra's heading, then the cause
    return lines[0] if lines else type(error).__name__
