"""What servers are asked, and what they answer: one reading of bodies and content types for all of them.

image/png, image/jpeg, image/webp, application/x-npy, application/octet-stream   the bytes of one image
application/json    {"image": "<base64>", "top": 5, "explain": false}
                    {"instances": [{"image": "<base64>"}, …], "top": 5, "explain": false}  ->  {"predictions": […]}
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from okkhor.serving.answers import Answer, Refusal, Refused
from okkhor.serving.decoding import MAX_BYTES, Sent

JSON = "application/json"
RAW = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/webp",
        "image/*",
        "application/x-image",
        "application/x-npy",
        "application/octet-stream",
    }
)
MAX_INSTANCES = 64
TOP, MAX_TOP = 5, 1000
WANTED = '{"image": "<base64>"} or {"instances": [{"image": "<base64>"}, …]}'


@dataclass(frozen=True)
class Request:
    """Images to read: items for `Predictor.predict`; a Refusal stands where an instance was not even one image.

    many: whether the answer is a list of predictions.
    """

    items: list[Sent | Refusal]
    top: int = TOP
    explain: bool = False
    many: bool = False

    @property
    def images(self) -> list[Sent]:
        """The items that can be handed to `Predictor.predict`."""
        return [item for item in self.items if not isinstance(item, Refusal)]

    def answered(self, found: Sequence[Answer | Refusal]) -> tuple[int, dict[str, Any]]:
        """HTTP status and JSON; found: for each of `images`, in order."""
        rest = iter(found)
        every = [item if isinstance(item, Refusal) else next(rest) for item in self.items]
        if self.many:
            return 200, {"predictions": [one.as_json() for one in every]}
        (one,) = every
        return (one.code if isinstance(one, Refusal) else 200), one.as_json()


def read_request(body: Any, content_type: str | None = None, *, explain: bool = False) -> Request:
    """Understand a request.

    body: as it came, or parsed already where a server parses JSON; content_type: of the body, with or without
    parameters; none, and `application/octet-stream` with a body that starts as JSON does, are found out by looking;
    explain: what is meant where the request does not say.
    Raises Refused: 400 what is not JSON or lacks an image, 413 too much of it, 415 another content type.
    """
    kind = (content_type or "").partition(";")[0].strip().lower()
    if not isinstance(body, bytes | bytearray | memoryview | str):
        return _from_json(body, explain)
    data = body.encode() if isinstance(body, str) else bytes(body)
    if len(data) > MAX_BYTES * 4 // 3 + 65_536:
        raise Refused(413, "TooLarge", f"{len(data):,} bytes; expected at most {MAX_BYTES:,} for one image")
    if kind == JSON or (kind in ("", "application/octet-stream") and data.lstrip()[:1] == b"{"):
        return _from_json(_parsed(data), explain)
    if kind and kind not in RAW:
        raise Refused(415, "UnsupportedType", f"content type {kind[:80]}; expected {JSON} or {', '.join(sorted(RAW))}")
    return Request([data], explain=explain)


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError, too
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)[:120]
        raise Refused(400, "BadJSON", f"not JSON ({reason}); expected {WANTED}") from None


def _from_json(body: Any, explain: bool) -> Request:
    if not isinstance(body, Mapping):
        raise Refused(400, "BadRequest", f"JSON, but no object; expected {WANTED}")
    top, explain = _top(body.get("top", TOP)), _flag(body.get("explain", explain))
    if "instances" not in body:
        return Request([_image(body)], top, explain)
    instances = body["instances"]
    if not isinstance(instances, list) or not instances:
        raise Refused(400, "BadRequest", '"instances" is no list of images; expected [{"image": "<base64>"}, …]')
    if len(instances) > MAX_INSTANCES:
        raise Refused(400, "BadRequest", f"{len(instances)} instances; expected at most {MAX_INSTANCES} a request")
    items: list[Sent | Refusal] = []
    for instance in instances:
        try:
            items.append(_image(instance))
        except Refused as refused:
            items.append(refused.refusal)
    return Request(items, top, explain, many=True)


def _image(holder: Any) -> str:
    if not isinstance(holder, Mapping) or "image" not in holder:
        raise Refused(400, "BadRequest", f'no "image"; expected {WANTED}')
    if not isinstance(holder["image"], str):
        raise Refused(400, "BadRequest", f'"image" is {type(holder["image"]).__name__}; expected base64 text')
    return holder["image"]


def _top(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_TOP:
        raise Refused(400, "BadRequest", f'"top" is {str(value)[:40]}; expected a whole number from 1 to {MAX_TOP}')
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Refused(400, "BadRequest", f'"explain" is {str(value)[:40]}; expected true or false')
    return value
