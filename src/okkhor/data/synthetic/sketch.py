"""A grapheme as pen strokes, before any hand has shaped them.

Glyphs are traced one by one, so that the few hundred glyphs of a font serve all graphemes, and so that a hand can later
move a vowel sign against its root. The headline (matra) is taken out of the glyphs and kept as spans: a writer draws it
in one go over the whole grapheme, or shortens it, or leaves it out.
"""

from dataclasses import dataclass

import numpy as np

from okkhor.data.synthetic.fonts import Typeface
from okkhor.data.synthetic.strokes import resample, smooth, trace

PIXELS_PER_EM = 96  # fine enough for the skeletons of conjuncts; tracing time grows with it
FINE, COARSE = 0.02, 0.075  # distance of points along a stroke, in letter heights: for smoothing, and as kept
HEADLINE_PROBE = "ব"  # its headline spans the whole glyph


@dataclass(frozen=True)
class Sketch:
    """Strokes of one grapheme in letter heights: y is 0 at the headline, 1 at the foot of the letters, x goes right.

    points: float32 (P, 2), all strokes one after another; rounded: the same with soft corners;
    stroke, glyph: int64 (P,), to which stroke and which glyph of the text a point belongs;
    headline: float32 (K, 2), spans of x.
    """

    points: np.ndarray
    rounded: np.ndarray
    stroke: np.ndarray
    glyph: np.ndarray
    headline: np.ndarray


@dataclass(frozen=True)
class _GlyphStrokes:
    """In letter heights from the glyph's origin, y down from the headline: strokes as kept, and with soft corners."""

    strokes: list[np.ndarray]
    rounded: list[np.ndarray]
    headline: list[tuple[float, float]]


class Sketcher:
    """Traces the glyphs of one typeface when a text first needs them, and puts texts together from them."""

    def __init__(self, typeface: Typeface) -> None:
        self.typeface = typeface
        self._glyphs: dict[int, _GlyphStrokes] = {}
        self._sketches: dict[str, Sketch | None] = {}
        self._headline_y, self._letter = self._measure()

    def _measure(self) -> tuple[float, float]:
        """Row of the headline in pixels above the baseline, and the letter height in pixels."""
        placed = self.typeface.shape(HEADLINE_PROBE)
        assert placed, "a typeface of find_typefaces writes plain letters"
        bitmap, _, top = self.typeface.bitmap(placed[0].glyph, PIXELS_PER_EM)
        ink = (bitmap > 127).sum(1)
        rows = np.flatnonzero(ink[: len(ink) // 2] > 0.8 * ink[: len(ink) // 2].max())
        headline = top - float(rows.mean()) - 0.5
        return headline, headline + (bitmap.shape[0] - top)

    def sketch(self, text: str) -> Sketch | None:
        """The strokes of a grapheme, or None where this typeface cannot shape it."""
        if text not in self._sketches:
            self._sketches[text] = self._compose(text)
        return self._sketches[text]

    def _compose(self, text: str) -> Sketch | None:
        placed = self.typeface.shape(text)
        if placed is None:
            return None
        em = PIXELS_PER_EM / self._letter
        points, rounded, stroke, glyph, spans = [], [], [], [], []
        for number, place in enumerate(placed):
            if place.glyph not in self._glyphs:
                self._glyphs[place.glyph] = self._trace(place.glyph)
            traced = self._glyphs[place.glyph]
            shift = np.array([place.x * em, -place.y * em], np.float32)
            for line, soft in zip(traced.strokes, traced.rounded, strict=True):
                points.append(line + shift)
                rounded.append(soft + shift)
                glyph.append(np.full(len(line), number))
                stroke.append(np.full(len(line), len(stroke)))
            spans += [(a + shift[0], b + shift[0]) for a, b in traced.headline]
        if not points:
            return None
        return Sketch(
            np.concatenate(points),
            np.concatenate(rounded),
            np.concatenate(stroke),
            np.concatenate(glyph),
            np.array(_merge(spans), np.float32).reshape(-1, 2),
        )

    def _trace(self, glyph: int) -> _GlyphStrokes:
        bitmap, left, top = self.typeface.bitmap(glyph, PIXELS_PER_EM)
        strokes, rounded, spans = [], [], []
        for pixels in trace(bitmap):
            line = (pixels + np.float32([left + 0.5, self._headline_y - top + 0.5])) / np.float32(self._letter)
            rest, found = _split_headline(resample(line, spacing=FINE))
            spans += found
            for piece in rest:
                strokes.append(resample(smooth(piece, 1.5), spacing=COARSE))
                rounded.append(resample(smooth(piece, min(5.0, len(piece) / 12)), count=len(strokes[-1])))
        return _GlyphStrokes(strokes, rounded, spans)


def _split_headline(
    line: np.ndarray, near: float = 0.07, least: float = 0.16
) -> tuple[list, list[tuple[float, float]]]:
    """Cut the runs that lie along the headline out of a stroke. Returns the other pieces and the spans of x cut out."""
    along = np.abs(line[:, 1]) < near
    edges = np.flatnonzero(np.diff(np.concatenate([[False], along, [False]]).astype(np.int8)))
    rest, spans, start = [], [], 0
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        x = line[a:b, 0]
        span = x.max() - x.min()
        bend = abs(line[(a + b) // 2, 1] - (line[a, 1] + line[b - 1, 1]) / 2)
        if span < least or bend > 0.1 * span:  # too short, or the top of an arc
            continue
        spans.append((float(x.min()), float(x.max())))
        # the pieces left and right of it stop short of the headline: let them reach it
        if a - start > 1:
            rest.append(np.concatenate([line[start:a], np.float32([[line[a, 0], 0.0]])]))
        start = b
    if start == 0:
        return [line], spans
    if len(line) - start > 1:
        rest.append(np.concatenate([np.float32([[line[start - 1, 0], 0.0]]), line[start:]]))
    return [piece for piece in rest if len(piece) > 2], spans


def _merge(spans: list[tuple[float, float]], gap: float = 0.14) -> list[tuple[float, float]]:
    """Spans joined where they overlap or nearly touch, from left to right."""
    merged: list[tuple[float, float]] = []
    for a, b in sorted(spans):
        if merged and a - merged[-1][1] < gap:
            merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
        else:
            merged.append((a, b))
    return merged
