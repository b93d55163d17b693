"""What TorchServe calls: bytes of requests in, JSON out. It stands in the archive, beside bundle/ and okkhor/.

One class alone may be defined here: TorchServe takes the only one of the file. PyTorch is imported by TorchServe
itself; nothing here needs it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any


class OkkhorHandler:
    """Answers batches of requests, each for itself: a bad one spoils nothing for the others."""

    def initialize(self, context: Any) -> None:
        """Load the model that stands beside this file; raises what keeps it from loading."""
        folder = Path(context.system_properties["model_dir"])
        sys.path.insert(0, str(folder))  # before an okkhor that is installed: the archive's is the one that fits

        from okkhor.serving.service import Service

        options = (context.model_yaml_config or {}).get("handler") or {}
        self.service = Service.load(folder / "bundle", options.get("format"), threads=int(options.get("threads", 1)))

    def handle(self, rows: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        """One answer a request, in their order. rows: fields of each request by name, `body` where it is no form."""
        from okkhor.serving.service import received

        items = self.service.answer([received(row, context.get_all_request_header(i)) for i, row in enumerate(rows)])
        for i, (status, answer) in enumerate(items):
            # TorchServe counts the letters of a phrase, not its bytes: it must be ASCII
            context.set_response_status(status, HTTPStatus(status).phrase, i)
            context.set_response_content_type(i, "application/json")
            self._count(context.metrics, status, answer)
        return [json.dumps(answer, ensure_ascii=False).encode() for _, answer in items]

    def _count(self, metrics: Any, status: int, answer: Mapping[str, Any]) -> None:
        """Metrics of metrics.yaml; TorchServe reads them off the worker's output."""
        from ts.metrics.metric_type_enum import MetricTypes

        model = self.service.predictor.model
        name, version = model["name"], model["version"]
        metrics.get_metric("okkhor_requests").add_or_update(1, [name, version, str(status)])
        confidence = metrics.get_metric("okkhor_confidence", MetricTypes.HISTOGRAM)
        doubt = metrics.get_metric("okkhor_doubt", MetricTypes.HISTOGRAM)
        for one in answer.get("predictions", [answer]):
            for head, choices in one.get("heads", {}).items():
                probability = choices[0]["probability"]
                confidence.add_or_update(probability, [name, version, head])
                doubt.add_or_update(round(1 - probability, 6), [name, version, head])
