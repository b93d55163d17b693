"""The links of infra/quick_create.py name a template that is there, and parameters that it has."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
REGIONS = ["ap-northeast-2", "us-east-1", "us-east-2", "us-west-1", "us-west-2"]
REPOSITORY = "https://github.com/you/okkhor.git?a=b&c=d"


def run(*words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "infra" / "quick_create.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("repository", [REPOSITORY, None])
def test_a_link_for_each_region_fills_in_parameters_of_the_template(repository):
    done = run("--bucket", "my-templates", *(["--repository", repository] if repository else []))
    assert done.returncode == 0, done.stderr
    lines = dict(line.split() for line in done.stdout.splitlines())
    assert list(lines) == REGIONS
    template = (ROOT / "infra" / "cloudformation.yaml").read_text(encoding="utf-8")
    parameters = set(re.findall(r"^  (\w+):$", template.partition("Parameters:\n")[2].partition("\nRules:")[0], re.M))
    for region, link in lines.items():
        parts = urlsplit(link)
        assert parts.netloc == f"{region}.console.aws.amazon.com"
        assert parse_qs(parts.query) == {"region": [region]}
        path, _, query = parts.fragment.partition("?")
        assert path == "/stacks/quickcreate"
        given = parse_qs(query, strict_parsing=True)
        assert given.pop("templateURL") == ["https://my-templates.s3.amazonaws.com/okkhor/cloudformation.yaml"]
        assert given.pop("stackName") == ["okkhor"]
        chosen = {name.removeprefix("param_"): value for name, value in given.items()}
        assert chosen == ({"DefaultCodeRepository": [repository]} if repository else {"Notebook": ["no"]})
        assert set(chosen) <= parameters


def test_a_bucket_that_cannot_be_reached_so_is_refused():
    done = run("--bucket", "my.templates")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --bucket=my.templates: expected the name of a bucket, without dots\n"
