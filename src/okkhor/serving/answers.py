"""What a model says of one image, and why one was not read: the JSON of every server, command and page."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

DECIMALS = 6  # of probabilities in JSON


@dataclass(frozen=True)
class Choice:
    """A class of one head: its number, its text and its probability."""

    label: int
    text: str
    probability: float

    def as_json(self) -> dict[str, Any]:
        return {"class": self.label, "text": self.text, "probability": round(self.probability, DECIMALS)}


@dataclass(frozen=True)
class Answer:
    """What was read in one image.

    grapheme: the text that the heads' best classes spell, None where they spell none; confidence: product of
    their probabilities; heads: the best classes of each head, the best first; model: name, version and format;
    milliseconds: from bytes to answer, its share of a batch; activation_maps: by head, float32 (h, w); seen: uint8
    (H, W), what the network saw of the image, which the maps lie over.
    """

    grapheme: str | None
    confidence: float
    heads: dict[str, list[Choice]]
    model: dict[str, str]
    milliseconds: float
    activation_maps: dict[str, np.ndarray] | None = field(default=None, compare=False)
    seen: np.ndarray | None = field(default=None, compare=False)

    @property
    def text(self) -> str:
        """The grapheme, or else the texts of the best classes."""
        return self.grapheme or " ".join(choices[0].text for choices in self.heads.values())

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "grapheme": self.grapheme,
            "confidence": round(self.confidence, DECIMALS),
            "heads": {name: [choice.as_json() for choice in choices] for name, choices in self.heads.items()},
            "model": self.model,
            "milliseconds": round(self.milliseconds, 3),
        }
        if self.activation_maps is not None:
            # float64 first: rounded float32 numbers print with all their digits
            maps = {name: np.round(one.astype(np.float64), 4).tolist() for name, one in self.activation_maps.items()}
            found["activation_maps"] = maps
        if self.seen is not None:
            found["seen"] = b64encode(cv2.imencode(".png", self.seen)[1].tobytes()).decode()
        return found


@dataclass(frozen=True)
class Refusal:
    """Why one image got no answer: an HTTP status, a word for programs, a sentence for people."""

    code: int
    type: str
    message: str

    def as_json(self) -> dict[str, Any]:
        return {"code": self.code, "type": self.type, "message": self.message}


class Refused(Exception):  # noqa: N818 - it is the sender who errs
    """What was sent cannot be answered; `refusal` says why. Its status is 4xx: the sender's to mend."""

    def __init__(self, status: int, type: str, message: str) -> None:
        super().__init__(message)
        self.refusal = Refusal(status, type, " ".join(message.split()))


def best_choices(probabilities: np.ndarray, texts: Sequence[str], top: int) -> list[Choice]:
    """The `top` likeliest classes of one head, the likeliest first; of equals the lower number.

    probabilities: (classes,); texts: of every class.
    """
    order = np.argsort(-probabilities, kind="stable")[:top]
    return [Choice(int(k), texts[k], float(probabilities[k])) for k in order]


def confidence_of(heads: Mapping[str, Sequence[Choice]]) -> float:
    """The probability that every head is right, if they err independently."""
    return float(np.prod([choices[0].probability for choices in heads.values()]))
