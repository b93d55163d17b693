"""The one class that answers: servers, commands and pages all ask it.

It imports NumPy, Pillow, OpenCV and the runtime of the bundle's format, nothing else that is large; so that it runs
where PyTorch is absent.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from okkhor.data.gray import fitted
from okkhor.data.resize import resize
from okkhor.errors import InputError
from okkhor.labels import COLUMNS, LabelMap
from okkhor.serving.answers import Answer, Choice, Refusal, Refused, best_choices, confidence_of
from okkhor.serving.bundle import Bundle
from okkhor.serving.decoding import Sent, decode
from okkhor.serving.paper import darkened, evenly_lit, magnified, paper_tone
from okkhor.serving.runtimes import FORMATS, Runtime, load_runtime

AT_ONCE = 64  # images that go through the network together: bounds memory


class Predictor:
    """Reads images with a bundle's model.

    bundle, format: what is loaded; runtime: see `okkhor.serving.runtimes`.
    """

    def __init__(self, bundle: Bundle, format: str, runtime: Runtime) -> None:
        self.bundle, self.format, self.runtime = bundle, format, runtime
        self.height, self.width = bundle.input["height"], bundle.input["width"]
        self.crop = bool(bundle.input["crop"])
        self.raw_size: tuple[int, int] = tuple(bundle.input["raw_size"])
        self.model = {"name": bundle.name, "version": str(bundle.version), "format": format}
        self._label_map = _label_map(bundle)
        cv2.setNumThreads(1)  # the images are small, and a server has a process for each processor

    @classmethod
    def load(
        cls, bundle: str | Path | Bundle, format: str | None = None, *, threads: int = 1, trust: bool = False
    ) -> Predictor:
        """Open a bundle and load one of its formats, the first of `FORMATS` that it has and may load unless named.

        threads, trust: see `load_runtime`. Raises InputError, naming file and reason.
        """
        opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
        format = format or _first(opened, trust)
        return cls(opened, format, load_runtime(opened, format, threads=threads, trust=trust))

    @property
    def letters(self) -> bool:
        """Whether images show ink on paper, which may be found inverted, small or badly lit, and mended."""
        return self.bundle.graphemes is not None

    def decode(self, sent: Sent) -> np.ndarray:
        """uint8 (height, width), what the network sees of one image of any kind. Raises Refused."""
        return self.prepare(decode(sent, ink=self.letters))

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """An image uint8 (H, W), dark ink on light paper, as training saw it: uint8 (height, width).

        One that has the size of the training's files is only resized, by training's own function.
        """
        paper = 255
        if image.shape != self.raw_size and self.letters:
            image = darkened(magnified(evenly_lit(image), self.raw_size))
            paper = paper_tone(image)
        return resize(fitted(image, self.raw_size, paper), (self.height, self.width), crop=self.crop)

    def probabilities(self, images: np.ndarray) -> list[np.ndarray]:
        """Probabilities of each head, float32 (B, classes), for prepared images uint8 (B, 1, height, width)."""
        return self.run(images)[0]

    def run(self, images: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Probabilities (see above) and activation maps, float32 (B, heads, h, w), in batches of bounded size."""
        parts = [self.runtime(images[start : start + AT_ONCE]) for start in range(0, len(images), AT_ONCE)]
        if len(parts) == 1:
            return parts[0]
        heads = zip(*(probabilities for probabilities, _ in parts), strict=True)
        return [np.concatenate(head) for head in heads], np.concatenate([maps for _, maps in parts])

    def predict(self, items: Sequence[Sent], *, top: int = 5, explain: bool = False) -> list[Answer | Refusal]:
        """One answer or refusal an item, in their order; a bad item spoils nothing for the others.

        items: see `okkhor.serving.decoding.decode`; top: best classes of each head; explain: with activation maps.
        """
        found: list[Answer | Refusal | None] = [None] * len(items)
        images, places, decoding = [], [], []
        for place, item in enumerate(items):
            started = time.perf_counter()
            try:
                images.append(self.decode(item))
            except Refused as refused:
                found[place] = refused.refusal
                continue
            places.append(place)
            decoding.append(time.perf_counter() - started)
        if images:
            started = time.perf_counter()
            probabilities, maps = self.run(np.stack(images)[:, np.newaxis])
            share = (time.perf_counter() - started) / len(images)
            for row, place in enumerate(places):
                seconds = decoding[row] + share
                one = [head[row] for head in probabilities]
                shown = (maps[row], images[row]) if explain else (None, None)
                found[place] = self.answer(one, *shown, top=top, seconds=seconds)
        return [one for one in found if one is not None]

    def answer(
        self,
        probabilities: Sequence[np.ndarray],
        maps: np.ndarray | None = None,
        seen: np.ndarray | None = None,
        *,
        top: int = 5,
        seconds: float = 0.0,
    ) -> Answer:
        """What the network said of one image, in words.

        probabilities: (classes,) of each head; maps: (heads, h, w); seen: uint8 (height, width), the prepared image.
        """
        names = self.bundle.heads.names
        heads = {
            name: best_choices(one, self.bundle.labels[name], top)
            for name, one in zip(names, probabilities, strict=True)
        }
        return Answer(
            grapheme=self._spelled(heads),
            confidence=confidence_of(heads),
            heads=heads,
            model=self.model,
            milliseconds=1000 * seconds,
            activation_maps=None if maps is None else dict(zip(names, maps, strict=True)),
            seen=seen,
        )

    def _spelled(self, heads: dict[str, list[Choice]]) -> str | None:
        if self._label_map is None:
            return None
        labels = {head.column: heads[head.name][0].label for head in self.bundle.heads}
        return self._label_map.compose(*(labels[column] for column in COLUMNS))


def _label_map(bundle: Bundle) -> LabelMap | None:
    """What composes Bengali, of the bundle's own texts; None for other data."""
    if bundle.graphemes is None:
        return None
    return LabelMap({head.column: list(bundle.labels[head.name]) for head in bundle.heads})


def _first(bundle: Bundle, trust: bool) -> str:
    for format in FORMATS:
        if format in bundle.formats and (trust or not bundle.formats[format].code):
            return format
    raise InputError(
        f"{bundle.path}: no format that loads without running code ({', '.join(bundle.formats)}); "
        "give trust=true if you made this bundle, or have scripts/export.py add onnx"
    )
