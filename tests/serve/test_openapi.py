"""serve/openapi.yaml describes the real server: what it lets in is answered as it says, what it does not is refused."""

import base64
import json
from pathlib import Path

import pytest
import yaml

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")
pytestmark = pytest.mark.serial
FILE = Path(__file__).resolve().parents[2] / "serve" / "openapi.yaml"


schema = schemathesis.openapi.from_path(FILE, config=schemathesis.Config.from_path(FILE.with_name("schemathesis.toml")))


@schema.parametrize()
@pytest.mark.filterwarnings("ignore")  # of the generator's own dependencies
def test_what_the_description_lets_in_is_answered_as_it_says(case, server):
    """And what it does not let in is refused; images and forms of all kinds are tests/serve/test_fuzz.py's."""
    case.call_and_validate(base_url=f"http://127.0.0.1:{server.ports['inference']}")


@pytest.mark.parametrize("path", ["/predictions/okkhor", "/explanations/okkhor", "/predictions/okkhor/1.0"])
def test_every_kind_of_answer_is_described(server, png, path):
    from jsonschema import Draft202012Validator

    document = yaml.safe_load(FILE.read_text(encoding="utf-8").replace("nullable: true", "x-null: true"))
    document["components"]["schemas"]["Answer"]["properties"]["grapheme"] = {"type": ["string", "null"]}
    image = base64.b64encode(png(1)).decode()
    for body, kind in (
        (png(1), "image/png"),
        (json.dumps({"image": image, "top": 2, "explain": True}).encode(), "application/json"),
        (json.dumps({"instances": [{"image": image}, {"image": "!"}]}).encode(), "application/json"),
        (b"nonsense", "image/png"),
        (b"x", "text/plain"),
    ):
        answered = server.ask(body, kind, path)
        key = path if path in document["paths"] else "/predictions/okkhor/{version}"
        said = document["paths"][key]["post"]["responses"][str(answered.status)]
        if "$ref" in said:
            said = document["components"]["responses"][said["$ref"].rpartition("/")[2]]
        wanted = said["content"]["application/json"]["schema"] | {"components": document["components"]}
        Draft202012Validator(wanted).validate(answered.json)
