"""The images that the model misread with the most confidence: truth and prediction under each."""

from typing import Protocol

import numpy as np
from matplotlib.figure import Figure

from okkhor.reports import style
from okkhor.reports.naming import Naming
from okkhor.reports.recall import HeadResult
from okkhor.reports.sheet import bare_sheet, draw_picture

COLUMNS, ROWS, MOST_LINES = 6, 4, 3
_GAP, _LINE = 0.18, 0.225  # inches between images, and from a note to the next
_SIDE = (style.WIDTH - 0.6 + _GAP) / COLUMNS - _GAP

Parts = list[tuple[str, str, bool]]  # what style.write_fitting takes: text, color, may be shortened


class Images(Protocol):
    """Grayscale images, (N, H, W) uint8, of which only those picked are read."""

    def __getitem__(self, index: np.ndarray, /) -> np.ndarray: ...


def most_confident_mistakes(results: list[HeadResult], probabilities: list[np.ndarray]) -> np.ndarray:
    """Indices of misread samples, (M,): first those where a wrong head gave its answer the highest probability.

    probabilities: per head (N, classes).
    """
    wrong = np.stack([r.labels != r.predicted for r in results], axis=1)
    given = np.stack([p[np.arange(len(p)), r.predicted] for r, p in zip(results, probabilities, strict=True)], axis=1)
    confidence = np.where(wrong, given, -1).max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    return order[wrong.any(axis=1)[order]]


def draw_misread(images: Images, results: list[HeadResult], probabilities: list[np.ndarray], naming: Naming) -> Figure:
    """A grid of the most confident mistakes."""
    mistakes, total = most_confident_mistakes(results, probabilities), len(results[0].labels)
    if not len(mistakes):
        return _nothing_misread(total)
    picked = mistakes[: COLUMNS * ROWS]
    pictures = np.asarray(images[picked])
    notes = [_notes(int(index), results, probabilities, naming) for index in picked]
    deepest = [max(map(len, notes[k : k + COLUMNS])) for k in range(0, len(picked), COLUMNS)]  # of each row
    height = min(max(_SIDE * pictures.shape[1] / pictures.shape[2], 0.6), 1.5)
    whole = 0.34 if naming.compose else 0
    steps = [height + whole + _LINE * lines + 0.3 for lines in deepest]

    figure = style.new_figure(1.02 + sum(steps))
    which = f"the {len(picked)} most confident mistakes" if len(picked) < len(mistakes) else "all of them"
    style.title(
        figure,
        f"{len(mistakes):,} of {total:,} images misread ({len(mistakes) / total:.1%}): {which}",
        "Truth → prediction, and the probability that the model gave its answer.",
    )
    sheet = bare_sheet(figure)
    for place, (index, picture) in enumerate(zip(picked, pictures, strict=True)):
        left, top = 0.3 + place % COLUMNS * (_SIDE + _GAP), 1.02 + sum(steps[: place // COLUMNS])
        draw_picture(sheet, picture, (left, top, _SIDE, height))
        top += height + 0.06
        if naming.compose:
            truth = _whole(naming, [r.labels[index] for r in results])
            answer = _whole(naming, [r.predicted[index] for r in results])
            parts = [(truth, style.INK, True), (" → ", style.FAINT, False), (answer, style.WRONG, True)]
            style.write_fitting(figure, left, top, _SIDE, 14, parts)
        for line, parts in enumerate(notes[place]):
            style.write_fitting(figure, left, top + whole + _LINE * line, _SIDE, 10, parts)
    return figure


def _notes(index: int, results: list[HeadResult], probabilities: list[np.ndarray], naming: Naming) -> list[Parts]:
    """Lines under an image: for each head that erred its name, truth → prediction, probability."""
    wrong = [k for k, r in enumerate(results) if r.labels[index] != r.predicted[index]]
    lines = []
    for k in wrong[:MOST_LINES]:
        head, labels = results[k].head, (results[k].labels[index], results[k].predicted[index])
        truth, answer = (naming.short(head, int(label), 24) for label in labels)
        first = (truth, style.INK, True)
        rest = [
            ("→ ", style.FAINT, False),
            (answer, style.WRONG, True),
            (f" {probabilities[k][index, labels[1]]:.0%}", style.MUTED, False),
        ]
        if len(results) > 1:
            lead = (f"{style.shorten(head.name, 10)} ", style.MUTED, False)
            lines.append([lead, first, (" ", style.FAINT, False), *rest])
        else:
            lines += [[first], rest]  # a single head leaves room for long names
    if len(wrong) > MOST_LINES:
        lines.append([(f"and {len(wrong) - MOST_LINES} heads more", style.MUTED, False)])
    return lines


def _whole(naming: Naming, labels: list[int]) -> str:
    text = naming.whole(labels) or ""
    return text if style.drawable(text) else " · ".join(map(str, labels))


def _nothing_misread(total: int) -> Figure:
    figure = style.new_figure(1.3)
    if total:
        style.title(figure, "No image misread", f"Every head was right on all {total:,} images of this set.")
    else:
        style.title(figure, "No image to read", "This set is empty.")
    return figure
