"""What SageMaker's inference toolkit for PyTorch calls: `code/inference.py` in model.tar.gz, beside code/okkhor/.

`explain` in the JSON asks for activation maps; the toolkit hands no headers over but the content types.
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


def input_fn(body: bytes, content_type: str) -> Received:
    """Keep the request as it came; reading it may refuse it."""
    from okkhor.serving.service import Received

    return Received(body, content_type)


def predict_fn(received: Received, service: Service) -> Item:
    """Status and JSON."""
    return service.answer([received])[0]


def output_fn(item: Item, accept: str, context: Any) -> str:
    """The JSON of an answer or a refusal, its status said to the server; the toolkit's own errors carry tracebacks."""
    status, answer = item
    if accept.partition(";")[0].strip() not in (JSON, "application/*", "*/*", ""):
        status = 406
        answer = {"code": status, "type": "NotAcceptable", "message": f"Accept: {accept[:80]}; expected {JSON}"}
    context.set_response_status(status, HTTPStatus(status).phrase, 0)
    return json.dumps(answer, ensure_ascii=False)
