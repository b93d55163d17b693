"""parts.yaml is true of this repository, and what it leaves is without the reference task."""

import ast
import re
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from okkhor.errors import InputError
from okkhor.templating.copying import Committed, write_files
from okkhor.templating.leaving_out import LeftOut, Passage, matches, read_parts
from okkhor.templating.naming import Name

ROOT = Path(__file__).resolve().parents[2]
OF_THE_TASK = re.compile(r"bengali|bangla|grapheme|vowel|consonant|okkhor|competition|[\u0980-\u09ff]", re.IGNORECASE)
OWN = ("plankton", "hydra_plugins")
SAID = (
    "src/",
    "configs/",
    "scripts/",
    "serve/",
    "infra/",
    ".github/",
    "train.py",
    "Makefile",
    "pyproject.toml",
    "mkdocs.yml",
)


@pytest.fixture(scope="module")
def files() -> dict[PurePosixPath, Committed]:
    """What git has or would take, as it lies here: a commit of what is being changed would be copied so."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    return {PurePosixPath(name): Committed((ROOT / name).read_bytes()) for name in names}


@pytest.fixture(scope="module", params=[True, False], ids=["with the task", "without"])
def copy(request, files, tmp_path_factory) -> tuple[bool, Path]:
    made = tmp_path_factory.mktemp("copy")
    values = dict.fromkeys(("template", "version", "commit", "today"), "x")
    write_files(files, read_parts(reference_task=request.param), Name("plankton", "Plankton"), made, values)
    return request.param, made


@pytest.mark.parametrize("reference_task", [True, False])
def test_every_pattern_leaves_a_file_out_and_says_why(files, reference_task):
    for one in read_parts(reference_task=reference_task).left_out:
        assert one.why
        for pattern in one.paths:
            assert any(matches(pattern, path) for path in files), f"parts.yaml: nothing matches {pattern}"


@pytest.mark.parametrize("reference_task", [True, False])
def test_every_passage_is_in_a_file_that_stays(files, reference_task):
    parts = read_parts(reference_task=reference_task)
    for passage in parts.passages:
        for name in passage.files:
            path = PurePosixPath(name)
            assert path in files, f"parts.yaml: {name} is gone"
            assert parts.stays(path), f"parts.yaml: {name} stays behind, so nothing in it need be changed"
            passage.replaced(files[path].content.decode(), path)


def test_every_word_is_still_said_somewhere(files):
    parts = read_parts(reference_task=False)
    texts = [file.content.decode(errors="ignore") for path, file in files.items() if parts.stays(path)]
    texts += [str(path) for path in files]
    everything = "\n".join(texts)
    assert [word for word in parts.words if word.lower() not in everything.lower()] == []


def test_a_copy_says_its_own_name_alone(copy):
    _, made = copy
    left = [f"{path.relative_to(made)}: {line}" for path, line in lines(made) if "okkhor" in line.lower()]
    assert left == ["LICENSE: Copyright (c) 2026 Okkhor contributors"]  # the license asks for it
    assert (made / "src" / "plankton" / "heads.py").is_file()
    assert (made / "src" / "hydra_plugins" / "plankton_launcher.py").is_file()
    assert not (made / "src" / "plankton" / "templating").exists()
    assert not list(made.rglob("*okkhor*"))


def test_drawings_of_a_copy_have_the_same_measures(copy, files):
    _, made = copy
    for picture in sorted((made / "docs" / "images").glob("*.svg")):
        ours, theirs = (
            re.findall(r'[\w-]+="[\d. ]+"', text)
            for text in (picture.read_text(), files[PurePosixPath(f"docs/images/{picture.name}")].content.decode())
        )
        assert set(ours) <= set(theirs), picture.name


def test_a_copy_without_the_task_does_not_speak_of_it(copy):
    reference_task, made = copy
    if reference_task:
        pytest.skip("it does")
    said = [f"{path.relative_to(made)}:{number}: {line}" for path, number, line in numbered(made)
            if str(path.relative_to(made)).startswith(SAID) and OF_THE_TASK.search(line)]  # fmt: skip
    assert said == [], "list it in parts.yaml, as a passage, a word or a file that stays behind"
    assert not [path for path in made.rglob("*") if OF_THE_TASK.search(path.relative_to(made).as_posix())]


def test_a_copy_with_the_task_keeps_its_files(copy, files):
    reference_task, made = copy
    if not reference_task:
        pytest.skip("it does not")
    assert (made / "src" / "plankton" / "tables" / "graphemes.csv").read_bytes() == (
        files[PurePosixPath("src/okkhor/tables/graphemes.csv")].content
    )


def test_what_a_copy_imports_of_itself_is_there(copy):
    _, made = copy
    missing = []
    for path in sorted(made.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in OWN:
                for alias in node.names:
                    if not defines(made, node.module, alias.name):
                        missing.append(f"{path.relative_to(made)}:{node.lineno} from {node.module} import {alias.name}")
    assert missing == []


def defines(made: Path, module: str, name: str) -> bool:
    """Whether a module of a copy has a name: written at its top, imported there, or a module in its folder."""
    base = made / "src" / Path(*module.split("."))
    file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    if (base / f"{name}.py").is_file() or (base / name).is_dir():
        return True
    return (
        file.is_file()
        and re.search(rf"^(?!\s*#).*\b{name}\b", file.read_text(encoding="utf-8"), re.MULTILINE) is not None
    )


def lines(folder: Path):
    return [(path, line) for path, _, line in numbered(folder)]


def numbered(folder: Path):
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            for number, line in enumerate(text.splitlines(), start=1):
                yield path, number, line


def test_patterns():
    path = PurePosixPath("docs/images/a.png")
    assert all(matches(pattern, path) for pattern in ("docs/", "docs/images/a.png", "docs/*.png", "docs/images/*"))
    assert not any(matches(pattern, path) for pattern in ("docs", "images/", "*.md", "docs/images/a"))
    assert LeftOut(("x", "docs/"), "why").covers(path)


def test_a_passage_must_be_there_once():
    path = PurePosixPath("a")
    assert Passage(("a",), "b", "x").replaced("abc", path) == "axc"
    assert Passage(("a",), "b", "", line=True).replaced("a\nabc\nc\n", path) == "a\nc\n"
    for text in ("ac", "abbc"):
        with pytest.raises(InputError, match=r"^a: .* expected once"):
            Passage(("a",), "b", "x").replaced(text, path)
