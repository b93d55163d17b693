"""The files around the code: workflows call targets that exist, versions and licenses agree, pages are to be found."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from okkhor.site.places import AT_THE_ROOT, DOCS, place

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))


class _Loader(yaml.SafeLoader):
    """Keeps mkdocs.yml's names of Python functions as text."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda loader, suffix, node: suffix)


def steps(workflow: dict) -> list[dict]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def called(command: str) -> set[str]:
    """Targets of the makes in a shell command."""
    found = set()
    for words in re.findall(r"\bmake ([^\n;&|]+)", command):
        found |= {word for word in words.split() if re.fullmatch(r"[a-z][a-z-]*", word)}
    return found


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_workflows_call_targets_that_exist(file):
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    wanted = set().union(*(called(step.get("run", "")) for step in steps(workflow)))
    assert wanted
    assert wanted <= TARGETS


def test_pull_requests_get_what_a_newcomer_is_told_to_run():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    wanted = [target for step in steps(workflow) for target in called(step.get("run", ""))]
    assert wanted == ["setup-system", "setup", "setup-servers", "setup-docs", "lint", "test"]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_workflows_may_do_little_and_use_pinned_actions(file):
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 120, name
        assert set(job.get("permissions", {})) <= {"pages", "id-token"}, name
    for step in steps(workflow):
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"])
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
    for line in file.read_text(encoding="utf-8").splitlines():
        if "uses:" in line:
            assert re.search(r"# v\d+\.\d+\.\d+$", line), "name the version of the commit"


def test_documented_make_targets_exist():
    for page in [ROOT / path for path in AT_THE_ROOT] + sorted((ROOT / "docs").rglob("*.md")):
        if page.is_file():
            text = page.read_text(encoding="utf-8")
            blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
            words = set().union(*map(called, (line.split("#")[0] for block in blocks for line in block.split("\n"))))
            words |= set(re.findall(r"`make ([a-z][a-z-]*)`", text))
            assert words <= TARGETS, page.name


def files(*patterns: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return sorted(path for path in set(listed.stdout.split()) if (ROOT / path).is_file())


def test_yaml_can_be_read():
    """CloudFormation's has words of its own, and a linter of its own."""
    read = [path for path in files("*.yaml", "*.yml", "*.cff") if path != "infra/cloudformation.yaml"]
    assert len(read) > 20
    for path in read:
        yaml.load((ROOT / path).read_text(encoding="utf-8"), _Loader)


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors", "version", "date-released"} <= set(citation)
    assert (citation["cff-version"], citation["version"]) == ("1.2.0", PROJECT["version"])
    assert citation["license"] == PROJECT["license"]
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", citation["date-released"])


def test_the_changelog_tells_of_this_version():
    headings = re.findall(r"^## \[(.+?)\](.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0][0] == "Unreleased"
    assert headings[1][0] == PROJECT["version"]
    assert all(re.fullmatch(r" - \d{4}-\d{2}-\d{2}", date) for _, date in headings[1:])


def test_the_license_is_the_one_that_is_named():
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith(f"{PROJECT['license']} License\n")


def test_held_back_versions_have_their_reason_written_down():
    """A package with an upper bound in pyproject.toml stands in CONTRIBUTING.md's table."""
    wanted = PROJECT["dependencies"] + [line for extra in PROJECT["optional-dependencies"].values() for line in extra]
    held = {re.split(r"[\[<>=!~]", line)[0] for line in wanted if re.search(r"<|==", line)}
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("| held back |")[2].partition("\n\n")[0]
    assert "pytorch-lightning" in held
    assert [name for name in sorted(held) if f"`{name}" not in table] == []


def navigated(entry: object) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    return [path for item in (entry.values() if isinstance(entry, dict) else entry) for path in navigated(item)]


def test_every_page_is_in_the_navigation():
    listed = navigated(yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), _Loader)["nav"])
    pages = [path for path in AT_THE_ROOT if (ROOT / path).is_file()] + files("docs/*.md", "docs/**/*.md")
    assert sorted(listed) == sorted(set(listed))
    assert [page for page in pages if place(page) not in listed] == []
    assert all(place(page).startswith(DOCS) is False for page in pages)


def test_every_script_is_told_of():
    told = "".join((ROOT / path).read_text(encoding="utf-8") for path in files("*.md", "Makefile"))
    inner = {"sagemaker_entry.py"}  # what a container calls
    scripts = {path.name for path in (ROOT / "scripts").glob("*.py")}
    assert [name for name in sorted(scripts - inner) if f"scripts/{name}" not in told] == []


def test_the_development_container_is_sound():
    folder = ROOT / ".devcontainer"
    settings = json.loads((folder / "devcontainer.json").read_text(encoding="utf-8"))
    assert (folder / settings["build"]["dockerfile"]).is_file()
    assert called(settings["postCreateCommand"]) <= TARGETS
    linter = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([linter, "--no-color", folder / "Dockerfile"], capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
    versions = {re.findall(r"FROM (python:3\.11\.\d+)", file.read_text(encoding="utf-8"))[0]
                for file in (folder / "Dockerfile", ROOT / "infra" / "docker" / "training.Dockerfile")}  # fmt: skip
    assert len(versions) == 1, "one Python everywhere"
    assert versions.pop() in (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
