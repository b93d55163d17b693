"""What TorchServe calls: bytes of requests in, JSON out. It stands in the archive, beside bundle/ and okkhor/.

One class alone may be defined here: TorchServe takes the only one of the file. PyTorch is imported by TorchServe
itself; nothing here needs it.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from okkhor.serving.answers import Answer, Refusal
    from okkhor.serving.requests import Request

log = logging.getLogger(__name__)

READING_SECONDS = 5.0  # of one request: 64 images of 16 megapixels take minutes, and the worker would be killed for it
LARGEST_BATCH = 8  # warmed up: the first requests are not to pay for it
ERROR = {"code": 500, "type": "InternalError", "message": "the model failed on this request; the server's log says how"}
Item = tuple[int, dict[str, Any]]  # HTTP status, JSON


class OkkhorHandler:
    """Answers batches of requests, each for itself: a bad one spoils nothing for the others."""

    def initialize(self, context: Any) -> None:
        """Load the model that stands beside this file; raises what keeps it from loading."""
        folder = Path(context.system_properties["model_dir"])
        sys.path.insert(0, str(folder))  # before an okkhor that is installed: the archive's is the one that fits

        import numpy as np

        from okkhor.serving.predictor import Predictor

        options = (context.model_yaml_config or {}).get("handler") or {}
        # trusted: who may put an archive into the store may run code here, this file for one
        self.predictor = Predictor.load(
            folder / "bundle", options.get("format"), threads=int(options.get("threads", 1)), trust=True
        )
        for count in (1, LARGEST_BATCH):
            self.predictor.run(np.zeros((count, 1, self.predictor.height, self.predictor.width), np.uint8))
        log.info("okkhor model %s ready", self.predictor.model)

    def handle(self, rows: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        """One answer a request, in their order. rows: fields of each request by name, `body` where it is no form."""
        asked = [self._understood(row, context.get_all_request_header(i)) for i, row in enumerate(rows)]
        items = self._answered(asked)
        for i, (status, answer) in enumerate(items):
            # TorchServe counts the letters of a phrase, not its bytes: it must be ASCII
            context.set_response_status(status, HTTPStatus(status).phrase, i)
            context.set_response_content_type(i, "application/json")
            self._count(context.metrics, status, answer)
        return [json.dumps(answer, ensure_ascii=False).encode() for _, answer in items]

    def _understood(self, row: Mapping[str, Any], headers: Mapping[str, Any]) -> Request | Refusal:
        from okkhor.serving.answers import Refusal, Refused
        from okkhor.serving.requests import read_request

        try:
            body, kind = _body(row, headers)
            return read_request(body, kind, explain=str(headers.get("explain", "")).lower() == "true")
        except Refused as refused:
            return refused.refusal
        except Exception:
            log.exception("a request could not be read")
            return Refusal(ERROR["code"], ERROR["type"], ERROR["message"])

    def _answered(self, asked: Sequence[Request | Refusal]) -> list[Item]:
        """Status and JSON of each request, all their images through the network together."""
        from okkhor.serving.answers import Refusal

        found: list[list[Answer | Refusal | None]] = []
        images: list[np.ndarray] = []
        places: list[tuple[int, int, float]] = []  # request, image in it, seconds that reading it took
        for i, request in enumerate(asked):
            sent = [] if isinstance(request, Refusal) else request.images
            found.append([None] * len(sent))
            began = time.perf_counter()
            for j, image in enumerate(sent):
                started = time.perf_counter()
                read = self._read(image, late=started - began > READING_SECONDS)
                if isinstance(read, Refusal):
                    found[i][j] = read
                else:
                    images.append(read)
                    places.append((i, j, time.perf_counter() - started))
        for (i, j, _), answer in zip(places, self._seen(images, places, asked), strict=True):
            found[i][j] = answer
        every = zip(asked, found, strict=True)
        return [_answer(request) if isinstance(request, Refusal) else request.answered(got) for request, got in every]

    def _read(self, image: Any, *, late: bool) -> np.ndarray | Refusal:
        from okkhor.serving.answers import Refusal, Refused

        if late:
            said = f"reading this request took more than {READING_SECONDS:g} seconds; send fewer or smaller images"
            return Refusal(413, "TooLarge", said)
        try:
            return self.predictor.decode(image)
        except Refused as refused:
            return refused.refusal
        except Exception:
            log.exception("an image could not be read")
            return Refusal(ERROR["code"], ERROR["type"], ERROR["message"])

    def _seen(
        self, images: list[np.ndarray], places: list[tuple[int, int, float]], asked: Sequence[Any]
    ) -> list[Answer | Refusal]:
        import numpy as np

        from okkhor.serving.answers import Refusal

        if not images:
            return []
        started = time.perf_counter()
        try:
            heads, maps = self.predictor.run(np.stack(images)[:, np.newaxis])
        except Exception:
            log.exception("the network failed on %d images", len(images))
            return [Refusal(ERROR["code"], ERROR["type"], ERROR["message"])] * len(images)
        share = (time.perf_counter() - started) / len(images)
        answers: list[Answer | Refusal] = []
        for row, (i, _, reading) in enumerate(places):
            shown = maps[row] if asked[i].explain else None
            one = [head[row] for head in heads]
            answers.append(self.predictor.answer(one, shown, top=asked[i].top, seconds=reading + share))
        return answers

    def _count(self, metrics: Any, status: int, answer: Mapping[str, Any]) -> None:
        """Metrics of metrics.yaml; TorchServe reads them off the worker's output."""
        from ts.metrics.metric_type_enum import MetricTypes

        version = self.predictor.model["version"]
        name = self.predictor.model["name"]
        metrics.get_metric("okkhor_requests").add_or_update(1, [name, version, str(status)])
        confidence = metrics.get_metric("okkhor_confidence", MetricTypes.HISTOGRAM)
        doubt = metrics.get_metric("okkhor_doubt", MetricTypes.HISTOGRAM)
        for one in answer.get("predictions", [answer]):
            for head, choices in one.get("heads", {}).items():
                probability = choices[0]["probability"]
                confidence.add_or_update(probability, [name, version, head])
                doubt.add_or_update(round(1 - probability, 6), [name, version, head])


def _body(row: Mapping[str, Any], headers: Mapping[str, Any]) -> tuple[bytes | str, str | None]:
    """What was sent and its content type: the body, or of a form the field `data` or `image`, or its only one."""
    from okkhor.serving.answers import Refused

    plain = {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
    if "body" in row:
        return row["body"], plain.get("content-type")
    named = [name for name in ("data", "image") if name in row] or list(row)
    if len(named) != 1:
        said = f"a form with {len(row)} fields; expected a body, or one field named image"
        raise Refused(400, "BadRequest", said if row else "an empty request; expected an image or JSON")
    part = headers.get(named[0])
    kind = part.get("content-type") if isinstance(part, Mapping) else None
    return row[named[0]], kind


def _answer(refusal: Refusal) -> Item:
    return refusal.code, refusal.as_json()
