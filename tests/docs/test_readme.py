"""The README: its commands do what it says, what it has one write works, and its other language says the same."""

import re
from pathlib import Path

import pytest

from docs.blocks import Project, read_blocks
from okkhor.runs import Run

ROOT = Path(__file__).resolve().parent.parent.parent
LANGUAGES = ("README.md", "README.ko.md")
MOST_LINES = 20  # of code in each file that one writes to bring something of one's own


def blocks(name):
    return read_blocks((ROOT / name).read_text(encoding="utf-8"))


def files():
    return {block.file: block.text for block in blocks("README.md") if block.file}


def own_part():
    """Commands below "Bring your own", and those above it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    border = text[: text.index("## Bring your own")].count("\n") + 1
    commands = [block for block in blocks("README.md") if block.language == "sh" and block.runs]
    return [b for b in commands if b.line > border], [b for b in commands if b.line < border]


@pytest.mark.slow
def test_what_one_brings_trains_and_is_read_again(project: Project):
    for path, text in files().items():
        assert not (project.root / path).exists(), f"{path} is no file of one's own"
        (project.root / path).write_text(text, encoding="utf-8")
    commands, _ = own_part()
    assert commands
    for block in commands:
        done = project.run(block)
        assert done.returncode == 0, f"README.md:{block.line}:\n{done.stdout}"
    (run,) = (Run.open(path) for path in (project.root / "runs" / "default").iterdir())
    assert {"val/recall_digit", "val/recall_odd"} <= run.metrics().keys()
    config = run.config()
    assert config.model.backbone == "python/plain.Plain"
    assert config.aug.batch._target_ == "halves.Halves"
    assert "epoch 1/1" in (run.logs / "output.log").read_text(encoding="utf-8")  # started by places.Command
    assert (run.path / "bundle" / "model.onnx").is_file()
    assert "recall digit" in done.stdout  # evaluated, with the class of the network imported once more


@pytest.mark.slow
@pytest.mark.serial
def test_the_first_steps_lead_to_an_answer(project: Project):
    _, commands = own_part()
    assert [line for block in commands for line in block.text.splitlines()][:2] == ["make train", "make serve"]
    said = ""
    try:
        for block in commands:
            done = project.run(block)
            assert done.returncode == 0, f"README.md:{block.line}:\n{done.stdout}"
            said += done.stdout
    finally:
        project.run(read_blocks("```sh\nmake stop\n```")[0])
    assert re.search(r"root +vowel +consonant", said), said  # of scripts/invoke.py
    assert "% sure" in said


def test_each_file_that_one_writes_is_short():
    for path, text in files().items():
        code = [line for line in text.splitlines() if line.strip() and not line.startswith(("#", "import ", "from "))]
        assert len(code) < MOST_LINES, f"{path}: {len(code)} lines of code"


def test_a_block_is_run_or_says_why_not_or_is_a_file():
    for block in blocks("README.md"):
        assert block.reason != "", f"README.md:{block.line}: no reason is given"
        if block.language in ("python", "yaml"):
            assert block.file, f"README.md:{block.line}: a file whose first line does not name it"


def test_both_languages_have_the_same_commands_files_links_and_numbers():
    english, korean = ((ROOT / name).read_text(encoding="utf-8") for name in LANGUAGES)
    for of, line in (
        (lambda name: [(b.language, b.text, b.reason is None) for b in blocks(name)], "blocks"),
        (lambda name: sorted(set(links(name))), "links"),
    ):
        assert of("README.md") == of("README.ko.md"), line
    assert "(README.ko.md)" in english
    assert "(README.md)" in korean
    assert scores(english) == scores(korean)


def links(name):
    """Where its links and pictures lead, without the anchors, which are in the page's own language."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found = (target.partition("#") for target in re.findall(r"\]\(([^)\s]+)\)", text))
    return [path + mark + (anchor if path else "") for path, mark, anchor in found if path not in LANGUAGES and path]


def scores(text):
    """Numbers with a fraction: scores, ratios, sizes."""
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    return sorted(re.findall(r"\d+\.\d+", prose))
