"""What Multi Model Server calls: `handle` of this module, once with nothing when it loads, then with batches."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from okkhor.serving.service import Service

service: Service | None = None


def handle(rows: Sequence[Mapping[str, Any]] | None, context: Any) -> list[bytes] | None:
    """One answer a request, in their order; the model stands beside this file."""
    global service
    if service is None:
        folder = Path(context.system_properties["model_dir"])
        sys.path.insert(0, str(folder))  # the archive's okkhor is the one that fits

        from okkhor.serving.service import Service

        service = Service.load(folder / "bundle")
    if rows is None:
        return None

    from okkhor.serving.service import received

    items = service.answer([received(row, context.get_all_request_header(i)) for i, row in enumerate(rows)])
    for i, (status, _) in enumerate(items):
        context.set_response_status(status, HTTPStatus(status).phrase, i)
        context.set_response_content_type(i, "application/json")
    return [json.dumps(answer, ensure_ascii=False).encode() for _, answer in items]
