"""What every server does with the requests that it has gathered: read each, see all images at once, answer each.

A bad request, or a bad image in one, spoils nothing for the others; no answer tells of the server's insides.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from okkhor.serving.answers import Answer, Refusal, Refused
from okkhor.serving.predictor import Predictor
from okkhor.serving.requests import Request, read_request

log = logging.getLogger(__name__)

READING_SECONDS = 5.0  # of one request: 64 images of 16 megapixels take minutes, and the worker would be killed for it
LARGEST_BATCH = 8  # warmed up: the first requests are not to pay for it
FAILED = Refusal(500, "InternalError", "the model failed on this request; the server's log says how")
Item = tuple[int, dict[str, Any]]  # HTTP status, JSON


@dataclass(frozen=True)
class Received:
    """One request as it came. body, content_type, explain: see `read_request`; refused: by the server already."""

    body: Any = b""
    content_type: str | None = None
    explain: bool = False
    refused: Refusal | None = None


class Service:
    """Answers requests with a Predictor."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    @classmethod
    def load(cls, bundle: Path, format: str | None = None, *, threads: int = 1) -> Service:
        """Load a bundle that came in an archive, and let the network run once for each size of batch.

        It is trusted: who may put an archive before a server may run code there, the server's own entry for one.
        Raises InputError, naming file and reason.
        """
        service = cls(Predictor.load(bundle, format, threads=threads, trust=True))
        shape = (1, service.predictor.height, service.predictor.width)
        for count in (1, LARGEST_BATCH):
            service.predictor.run(np.zeros((count, *shape), np.uint8))
        log.info("okkhor model %s ready", service.predictor.model)
        return service

    def answer(self, received: Sequence[Received]) -> list[Item]:
        """Status and JSON of each request, all their images through the network together."""
        asked = [self._understood(one) for one in received]
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
        return [
            (request.code, request.as_json()) if isinstance(request, Refusal) else request.answered(got)
            for request, got in every
        ]

    def _understood(self, received: Received) -> Request | Refusal:
        if received.refused:
            return received.refused
        try:
            return read_request(received.body, received.content_type, explain=received.explain)
        except Refused as refused:
            return refused.refusal
        except Exception:
            log.exception("a request could not be read")
            return FAILED

    def _read(self, image: Any, *, late: bool) -> np.ndarray | Refusal:
        if late:
            said = f"reading this request took more than {READING_SECONDS:g} seconds; send fewer or smaller images"
            return Refusal(413, "TooLarge", said)
        try:
            return self.predictor.decode(image)
        except Refused as refused:
            return refused.refusal
        except Exception:
            log.exception("an image could not be read")
            return FAILED

    def _seen(
        self, images: list[np.ndarray], places: list[tuple[int, int, float]], asked: Sequence[Any]
    ) -> list[Answer | Refusal]:
        if not images:
            return []
        started = time.perf_counter()
        try:
            heads, maps = self.predictor.run(np.stack(images)[:, np.newaxis])
        except Exception:
            log.exception("the network failed on %d images", len(images))
            return [FAILED] * len(images)
        share = (time.perf_counter() - started) / len(images)
        answers: list[Answer | Refusal] = []
        for row, (i, _, reading) in enumerate(places):
            shown = (maps[row], images[row]) if asked[i].explain else (None, None)
            one = [head[row] for head in heads]
            answers.append(self.predictor.answer(one, *shown, top=asked[i].top, seconds=reading + share))
        return answers


def received(row: Mapping[str, Any], headers: Mapping[str, Any]) -> Received:
    """A request as TorchServe and Multi Model Server hand it over: fields by name, headers.

    Taken is the body, or of a form the field `data` or `image`, or its only one.
    """
    plain = {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
    explain = plain.get("explain", "").lower() == "true"
    if "body" in row:
        return Received(row["body"], plain.get("content-type"), explain)
    named = [name for name in ("data", "image") if name in row] or list(row)
    if len(named) != 1:
        said = f"a form with {len(row)} fields; expected a body, or one field named image"
        said = said if row else "an empty request; expected an image or JSON"
        return Received(refused=Refusal(400, "BadRequest", said))
    part = headers.get(named[0])
    kind = part.get("content-type") if isinstance(part, Mapping) else None
    return Received(row[named[0]], kind, explain)
