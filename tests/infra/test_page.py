"""docs/sagemaker.md names what there is: scripts and options, choices, keys of the launcher, parts of the stack."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "sagemaker.md").read_text(encoding="utf-8")
TEMPLATE = (ROOT / "infra" / "cloudformation.yaml").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """Words of the lines in the page's blocks of shell, without comments."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in blocks.splitlines() if line.strip()]


def section(name: str) -> set[str]:
    """Names of a part of the template."""
    inside = TEMPLATE.partition(f"\n{name}:\n")[2]
    inside = re.split(r"^\S", inside, maxsplit=1, flags=re.MULTILINE)[0] if name != "Outputs" else inside
    return set(re.findall(r"^  (\w+):", inside, re.MULTILINE))


SCRIPTS = [words[1:] for words in commands() if words[0] == "python"]


@pytest.mark.parametrize("words", SCRIPTS, ids=[" ".join(words)[:60] for words in SCRIPTS])
def test_a_command_names_a_script_that_takes_its_options(words):
    script = ROOT / words[0]
    assert script.is_file()
    source = script.read_text(encoding="utf-8")
    if script.name == "train.py":
        return
    for option in [word for word in words[1:] if word.startswith("--")]:
        assert f'"{option}"' in source, option


def test_most_of_what_is_typed_is_tested():
    assert {words[0] for words in SCRIPTS} >= {
        "train.py", "scripts/prepare.py", "scripts/sagemaker.py", "scripts/deploy.py", "scripts/invoke.py",
    }  # fmt: skip
    assert len(SCRIPTS) > 15


def test_choices_of_groups_are_there():
    given = {word for words in commands() for word in words if re.fullmatch(r"[a-z_]+=[\w,]+", word)}
    chosen = [word.split("=") for word in given]
    groups = [(group, values.split(",")) for group, values in chosen if (ROOT / "configs" / group).is_dir()]
    assert {"model", "trainer", "launcher", "data", "sweep", "aug", "logger"} <= {group for group, _ in groups} | {
        "data"
    }
    for group, values in groups:
        for value in values:
            assert (ROOT / "configs" / group / f"{value}.yaml").is_file(), f"{group}={value}"


def test_keys_of_the_launcher_are_there():
    known = yaml.safe_load((ROOT / "configs" / "launcher" / "sagemaker.yaml").read_text(encoding="utf-8"))
    named = set(re.findall(r"launcher\.([a-z_]+)", PAGE))
    assert len(named) > 10
    assert named <= set(known)


def test_parameters_and_outputs_of_the_stack_are_there():
    parameters = section("Parameters")
    table = re.findall(r"^\| (`[A-Z]\w+`(?:, `[A-Z]\w+`)*) \|", PAGE, re.MULTILINE)
    named = {name for row in table for name in re.findall(r"\w+", row)}
    for words in commands():
        if "--parameter-overrides" in words:
            named |= {word.split("=")[0] for word in words[words.index("--parameter-overrides") + 1 :]}
    named |= set(re.findall(r"`([A-Z][a-z]\w+)=", PAGE))
    assert named == parameters  # all of them are told, and none that is not there
    outputs = section("Outputs")
    assert {"BucketName", *re.findall(r"`(Vpc\w+)`", PAGE)} <= outputs


def test_files_that_are_named_are_there():
    for path in set(re.findall(r"\b(?:infra|scripts|configs|tests)/[\w/.]*\w", PAGE)):
        assert (ROOT / path).exists(), path
