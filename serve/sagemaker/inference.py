"""What SageMaker's inference toolkit for PyTorch calls: `code/inference.py` in model.tar.gz, beside code/okkhor/.

`explain` in the JSON asks for activation maps; the toolkit hands no headers over but the content types. Errors are
answered, not raised: to what is raised the toolkit adds its traceback.
"""

from __future__ import annotations

import json
import sys
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from okkhor.serving.service import Item, Received, Service

JSON = "application/json"


def model_fn(model_dir: str) -> Service:
    """Load the bundle of an unpacked model.tar.gz."""
    sys.path.insert(0, str(Path(model_dir) / "code"))  # the archive's okkhor is the one that fits

    from sagemaker_inference import content_types

    from okkhor.serving.service import Service

    content_types.UTF8_TYPES = []  # it would decode JSON itself, and answer what is no UTF-8 with a traceback
    return Service.load(Path(model_dir) / "bundle")


def input_fn(body: bytes | None, content_type: str | None) -> Received:
    """Keep the request as it came; reading it may refuse it. body: None of a form, whose fields the toolkit drops."""
    from okkhor.serving.answers import Refusal
    from okkhor.serving.service import Received

    if body is None:
        said = "a form, which is not taken here; expected the bytes of an image, or JSON"
        return Received(refused=Refusal(415, "UnsupportedType", said))
    return Received(body, content_type)


def predict_fn(received: Received, service: Service) -> Item:
    """Status and JSON."""
    return service.answer([received])[0]


def output_fn(item: Item, accept: str, context: Any) -> tuple[str, str]:
    """The JSON of an answer or a refusal and its type; its status is said to the server.

    Without a type the toolkit would send back the Accept header for one, and hang on letters that are not ASCII.
    """
    status, answer = item
    wanted = {one.partition(";")[0].strip().lower() for one in accept.split(",")}
    if wanted.isdisjoint({JSON, "application/*", "*/*", ""}):
        status = 406
        answer = {"code": status, "type": "NotAcceptable", "message": f"Accept: {accept[:80]}; expected {JSON}"}
    context.set_response_status(status, HTTPStatus(status).phrase, 0)
    return json.dumps(answer, ensure_ascii=False), JSON
