"""Classes of your own, in a module beside train.py or on PYTHONPATH, which the configuration names.

Naming one is what has it imported, and importing runs it. A checkpoint holds weights alone and never brings code:
without your module on this machine a run that names it cannot be read, and a bundle in the formats that hold a graph
(onnx and others) can.
"""

import difflib
import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import Any, TypeVar

from okkhor.errors import InputError

Kind = TypeVar("Kind")


def reach_own_code() -> None:
    """Let modules of the project's folder be imported by scripts, too; last of all, so that they hide nothing."""
    root = str(Path(os.environ.get("OKKHOR_ROOT") or ".").resolve())
    if root not in sys.path:
        sys.path.append(root)


def own_class(dotted: str, kind: type[Kind], key: str) -> type[Kind]:
    """The class `<module>.<Class>`, which has to be a `kind`; its module is imported here.

    key: of the configuration, which messages begin with. Raises InputError where module or class is not to be found,
    where the module fails (with its file and line), or where the class is of another kind.
    """
    module_name, _, name = dotted.rpartition(".")
    if not module_name or not all(part.isidentifier() for part in dotted.split(".")):
        raise InputError(f"{key}: {dotted!r} names no class; expected <module>.<Class>, as mine.MyClass of mine.py")
    reach_own_code()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise InputError(f"{key}: {module_name} cannot be imported: {said_by(error)}") from error
        raise InputError(
            f"{key}: no module {module_name!r} here; expected {module_name.replace('.', '/')}.py beside train.py or on "
            "PYTHONPATH"
        ) from error
    except Exception as error:  # whatever your code raises
        raise InputError(f"{key}: {module_name} cannot be imported: {said_by(error)}") from error
    found: Any = getattr(module, name, None)
    if found is None:
        near = difflib.get_close_matches(name, vars(module), 1)
        raise InputError(f"{key}: {module_name} has no {name}" + (f"; did you mean {near[0]}?" if near else ""))
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise InputError(f"{key}: {dotted} is no such class; expected one derived of {kind.__name__}")
    return found


def said_by(error: BaseException) -> str:
    """What an exception says and the last line of code it went through: "NameError: … (mine.py:12)"."""
    if isinstance(error, SyntaxError):
        place = f"{Path(error.filename or '?').name}:{error.lineno}"
        return f"{type(error).__name__}: {error.msg} ({place})"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen")]
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    words = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {words}{place}"
