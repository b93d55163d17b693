"""How a hand writes a sketch: slant, proportions, wobble, the headline, placement. All of it drawn per image."""

import math

import numpy as np

from okkhor.data.synthetic.sketch import Sketch

LETTER_HEIGHT = 55.0  # median distance of headline and foot in pixels, as in the real images
HEADLINE_AT = 41.0  # pixels from the top: so it stands on the forms, and tall signs are cut
RISE = 1.65  # hands draw the signs above the headline this much taller than fonts do
# How far glyphs and strokes stray from the printed form. After four epochs of 16,000 images a small net scores 0.80
# on such images at 1 and 0.92 at 0.65, and on real handwriting 0.53 and 0.54.
SPREAD = 0.65
WAVES = 4  # plane waves whose sum is the smooth displacement field


def write(sketch: Sketch, rng: np.random.Generator, size: tuple[int, int]) -> tuple[list[np.ndarray], float]:
    """Strokes in pixels as one hand would have put them on the form, and the pen's width in pixels.

    size: (H, W) of the image. Strokes are float32 (N, 2) polylines of x, y; they may leave the image, as real ones do.
    """
    normal = rng.standard_normal(24).tolist()
    points = sketch.points + np.float32(rng.uniform(-0.2, 1.0)) * (sketch.rounded - sketch.points)
    points = _move_glyphs(points, sketch.glyph, rng)
    above = np.maximum(-0.1 - points[:, 1], 0)  # all but the tips that merely cross the headline
    points[:, 1] -= above * np.float32(RISE * math.exp(0.2 * SPREAD * normal[7]) - 1.0)
    lines = _headline(sketch, rng)
    first = int(sketch.stroke[-1]) + 1
    stroke = np.concatenate([sketch.stroke, *(np.full(len(line), first + k) for k, line in enumerate(lines))])
    points = np.concatenate([points, *lines])
    points = _wobble(points, stroke, rng)
    cuts = np.flatnonzero(np.diff(stroke)) + 1
    _lengthen(points, cuts, rng)

    # slant and turn, narrow or broad
    height = LETTER_HEIGHT * math.exp(0.20 * normal[0])
    width = height * math.exp(0.12 + 0.13 * normal[1])
    turn, slant = math.radians(4.0 * normal[2]), 0.12 * normal[3] - 0.03
    cos, sin = math.cos(turn), math.sin(turn)
    affine = np.array(
        [[cos * width, sin * width], [(-slant * cos - sin) * height, (-slant * sin + cos) * height]], np.float32
    )
    hook = 0.5 * float(points[:, 0].min() + points[:, 0].max()) * float(affine[0, 1])
    points = points @ affine

    left, right = float(points[:, 0].min()), float(points[:, 0].max())
    x = 0.475 * size[1] + 16.0 * normal[4] - (left + right) / 2
    y = HEADLINE_AT + 10.0 * normal[5] - hook
    points += np.array([x, y], np.float32)
    pen = max(2.6, 3.8 + 0.5 * normal[6])
    return np.split(points, cuts), pen


def _move_glyphs(points: np.ndarray, glyph: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every glyph a little larger or smaller, sheared, out of its place; the headline stays what they hang from."""
    count = int(glyph.max()) + 1
    draw = rng.standard_normal((count, 5)).astype(np.float32) * np.float32(SPREAD)
    scale_x, scale_y = np.exp(0.13 * draw[:, 0]), np.exp(0.12 * draw[:, 1])
    middle = np.array([points[glyph == k, 0].mean() if (glyph == k).any() else 0.0 for k in range(count)], np.float32)
    x = (points[:, 0] - middle[glyph]) * scale_x[glyph] + middle[glyph]
    x += 0.10 * draw[glyph, 2] * (0.5 - points[:, 1]) + 0.05 * draw[glyph, 3]
    y = points[:, 1] * scale_y[glyph] + 0.035 * draw[glyph, 4]
    return np.stack([x, y], axis=1)


def _headline(sketch: Sketch, rng: np.random.Generator) -> list[np.ndarray]:
    """The headline's spans as strokes: longer than the letters, shorter, tilted, broken or left out."""
    lines: list[np.ndarray] = []
    if not len(sketch.headline) or rng.random() < 0.06:
        return lines
    longer = np.abs(rng.normal(0.0, 0.24)) if rng.random() < 0.5 else rng.normal(0.0, 0.07)
    tilt, lift = 0.05 * rng.standard_normal() - 0.01, 0.04 * rng.standard_normal()
    spans = sketch.headline
    middle = float(spans.mean())
    for k, (a, b) in enumerate(spans.tolist()):
        draw = rng.standard_normal(4).tolist()
        if len(spans) > 1 and rng.random() < 0.08:
            continue
        if k == 0:
            a -= longer * (0.7 + 0.3 * draw[0])
        if k == len(spans) - 1:
            b += longer * (0.7 + 0.3 * draw[1])
        a, b = a + 0.05 * draw[2], b + 0.05 * draw[3]
        if b - a < 0.05:
            continue
        x = np.linspace(a, b, max(2, round((b - a) / 0.09)), dtype=np.float32)
        lines.append(np.stack([x, np.float32(lift) + np.float32(tilt) * (x - np.float32(middle))], axis=1))
    return lines


def _lengthen(points: np.ndarray, cuts: np.ndarray, rng: np.random.Generator) -> None:
    """Strokes that begin late or end beyond their mark, by a part of their last step. Changes `points`."""
    starts = np.concatenate([[0], cuts])
    ends = np.concatenate([cuts, [len(points)]]) - 1
    share = np.clip(0.15 + 0.5 * SPREAD * rng.standard_normal((2, len(starts), 1)), -0.6, 1.5).astype(np.float32)
    first = points[starts] + share[0] * (points[starts] - points[starts + 1])
    points[ends] += share[1] * (points[ends] - points[ends - 1])
    points[starts] = first


def _wobble(points: np.ndarray, stroke: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A smooth displacement of the whole grapheme, and each stroke a little off its place."""
    waves = rng.standard_normal((2, WAVES)).astype(np.float32) * 4.5  # radians a letter height
    phase = rng.uniform(0.0, 2 * math.pi, WAVES).astype(np.float32)
    amount = rng.standard_normal((WAVES, 2)).astype(np.float32) * np.float32(
        SPREAD * 0.035 * math.exp(0.3 * rng.standard_normal())
    )
    points = points + np.sin(points @ waves + phase) @ amount
    draw = rng.standard_normal((int(stroke[-1]) + 1, 2)).astype(np.float32) * np.float32(SPREAD * 0.015)
    return points + draw[stroke]
