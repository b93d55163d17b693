"""Who answers the web page: a TorchServe of this machine, a server elsewhere, or a model in this process."""

from __future__ import annotations

import threading
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from okkhor.errors import InputError
from okkhor.serving.client import ask_url
from okkhor.serving.requests import TOP

if TYPE_CHECKING:
    from okkhor.serving.predictor import Predictor
    from okkhor.serving.torchserve.state import ServeFolder

Answered = tuple[int, dict[str, Any]]  # HTTP status and JSON, with activation maps; see `okkhor.serving.answers`


class Answering(Protocol):
    """letters: whether it reads Bengali graphemes."""

    letters: bool

    def where(self) -> str:
        """For people: who answers."""

    def ask(self, image: bytes) -> Answered:
        """What it reads in the bytes of one image."""


@dataclass(frozen=True)
class InProcess:
    """A Predictor of this process; one image at a time, which bounds the memory that decoding takes."""

    predictor: Predictor
    _busy: threading.Lock = field(default_factory=threading.Lock)

    @property
    def letters(self) -> bool:
        return self.predictor.letters

    def where(self) -> str:
        return f"the run {self.predictor.bundle.run}, loaded by this page’s server"

    def ask(self, image: bytes) -> Answered:
        from okkhor.serving.service import Received, Service

        with self._busy:
            (answered,) = Service(self.predictor).answer([Received(image, explain=True)])
        return answered


@dataclass(frozen=True)
class AtUrl:
    """A server that was named by its URL; token: where it wants one, which the page never learns."""

    url: str
    token: str | None = None
    letters: bool = True

    def where(self) -> str:
        return f"the server at {urlsplit(self.url).netloc}"

    def ask(self, image: bytes) -> Answered:
        return _asked(self.url, image, self.token)


@dataclass(frozen=True)
class AtTorchServe:
    """The TorchServe of a state folder, looked up for each question: it may stop, and start at another port."""

    folder: ServeFolder
    letters: bool = True

    def where(self) -> str:
        found = self.folder.running()
        return (
            f"TorchServe at {urlsplit(found.urls['inference']).netloc}" if found else "TorchServe, which is not running"
        )

    def ask(self, image: bytes) -> Answered:
        found = self.folder.running()
        if found is None:
            return _down("TorchServe is not running; `make serve` starts it")
        if not found.ready:
            return _down("TorchServe is still starting; try again in a few seconds")
        url = f"{found.urls['inference']}/predictions/{found.model}"
        return _asked(url, image, found.token("inference"))


def _asked(url: str, image: bytes, token: str | None) -> Answered:
    question = {"image": b64encode(image).decode(), "top": TOP, "explain": True}
    try:
        return ask_url(url, question, token=token)
    except InputError as error:
        return _down(str(error))


def _down(message: str) -> Answered:
    return 503, {"code": 503, "type": "NoServer", "message": message}
