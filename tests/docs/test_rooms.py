"""The drawn rooms against the imports of src/: a room imports only what stands in rows below its own."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
PACKAGE = "okkhor"

# narrower than the drawing: what docs/architecture.md says of rooms and libraries; the files that may
HYDRA, LIGHTNING, TORCH = "hydra", "pytorch_lightning", "torch"
STRANGERS = {
    "models": {HYDRA: (), "omegaconf": ()},
    "data": {HYDRA: (), LIGHTNING: ("data/module.py",)},
    "augment": {HYDRA: (), LIGHTNING: ()},
    "serving": {HYDRA: (), LIGHTNING: ()},
    "reports": {HYDRA: (), LIGHTNING: (), TORCH: ()},
}


def rows() -> list[list[str]]:
    """The drawing's rooms, row by row from the top."""
    tree = ElementTree.parse(ROOT / "docs" / "images" / "rooms.svg")
    drawn = [[group.get("data-room") for group in row.iter() if group.get("data-room")] for row in tree.iter()
             if row.get("data-row")]  # fmt: skip
    return [row for row in drawn if row]


def room(module: str) -> str:
    """okkhor.data.store -> okkhor.data"""
    return ".".join(module.split(".")[:2]) if module.startswith(f"{PACKAGE}.") else module.split(".")[0]


@cache
def imported(file: Path) -> list[tuple[int, str]]:
    """Every module that a file imports, at its top or inside a function, with the line."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} is a relative import"
            whole = node.module == PACKAGE
            found += [(node.lineno, f"{PACKAGE}.{alias.name}" if whole else node.module) for alias in node.names]
    return found


def files() -> list[tuple[str, Path]]:
    """(room, file) of everything below src/ but the package's own __init__."""
    found = []
    for file in sorted(SRC.rglob("*.py")):
        module = ".".join(file.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")
        if module != PACKAGE:
            found.append((room(module), file))
    return found


def forbidden(files: list[tuple[str, Path]], rows: list[list[str]]) -> list[str]:
    height = {name: -number for number, row in enumerate(rows) for name in row}
    wrong = []
    for mine, file in files:
        for line, module in imported(file):
            other = room(module)
            ours = module.startswith(f"{PACKAGE}.") and module != f"{PACKAGE}.__version__"
            if ours and other != mine and height[other] >= height[mine]:
                wrong.append(f"{file.name}:{line} {mine} imports {other}, which does not stand below it")
    return wrong


def test_every_import_goes_down():
    assert forbidden(files(), rows()) == []


def test_an_import_that_goes_up_or_sideways_would_be_found(tmp_path):
    file = tmp_path / "new.py"
    file.write_text(f"def f():\n    from {PACKAGE}.training import fit\n    from {PACKAGE} import serving\n")
    found = forbidden([(f"{PACKAGE}.reports", file)], rows())
    assert [line.split(" ", 1)[0] for line in found] == ["new.py:2", "new.py:3"]


def test_every_room_is_drawn_once():
    drawn = [name for row in rows() for name in row]
    there = {name for name, _ in files()}
    assert len(drawn) == len(set(drawn))
    assert there - set(drawn) == set(), "draw it in docs/images/rooms.svg"
    assert set(drawn) - there == set(), "it is gone: take it out of docs/images/rooms.svg"


@pytest.mark.parametrize("name", STRANGERS)
def test_rooms_keep_away_from_libraries_that_are_not_theirs(name):
    found = defaultdict(list)
    for mine, file in files():
        if mine == f"{PACKAGE}.{name}":
            for _, module in imported(file):
                found[module.split(".")[0]].append(file.relative_to(SRC / PACKAGE).as_posix())
    assert found, "the room is empty"
    for library, allowed in STRANGERS[name].items():
        assert set(found[library]) <= set(allowed), f"{library} is imported in {name}"


def test_one_module_calls_instantiate():
    calling = {
        file.name for _, file in files() for _, module in imported(file)
        if module == "hydra.utils" and "instantiate(" in file.read_text(encoding="utf-8")
    }  # fmt: skip
    assert calling == {"build.py"}


def test_nothing_in_the_package_imports_what_people_type():
    outer = {"train", "scripts", "serve"}
    found = [(file.name, module) for _, file in files() for _, module in imported(file)]
    assert len(found) > 500
    assert [pair for pair in found if pair[1].split(".")[0] in outer] == []
