"""Images of each class: the most and the least frequent beside their text, and every class folded away."""

from html import escape

import numpy as np

from okkhor.heads import Head
from okkhor.reports.eda.section import DataSet, Section, counted
from okkhor.reports.eda.thumbnails import Line, draw_lines, pictures

EACH, FEW = 8, 4  # images of a class: in its row, and where all classes are listed
ENDS, ENDS_OF_SMALL, SMALL_HEAD = (
    10,
    5,
    20,
)  # classes at either end of the frequencies, of a head of more than 20 or not
MOST_CLASSES = 400  # listed with images: of more, the page would be too heavy


def samples(data: DataSet) -> Section:
    """Rows of images for each head."""
    rng = np.random.default_rng([data.seed, 2])
    body, columns = [], []
    for k, head in enumerate(data.heads):
        order, count = by_frequency(data.labels[:, k], head.classes)
        for heading, classes in ends(order, head):
            lines = [_line(data, k, head, int(label), int(count[label]), EACH, rng) for label in classes]
            body.append(f"<h3>{escape(head.name)}: {escape(heading)}</h3>{_rows(lines)}")
            columns.append((f"{head.name}: {heading}", lines))
        listed = order[:MOST_CLASSES]
        every = [_line(data, k, head, int(label), int(count[label]), FEW, rng) for label in listed]
        left = f"; the {len(order) - len(listed):,} rarest are left out" if len(listed) < len(order) else ""
        body.append(
            f"<details><summary>{escape(head.name)}: images of {counted(len(listed), 'class', 'classes')}"
            f"{left}</summary>{_rows(every, 'cells')}</details>"
        )
    figure = draw_lines("What the classes look like", "Text and number of images, beside images drawn at random.",
                        columns, 5)  # fmt: skip
    return Section(
        "samples",
        "Samples of each class",
        "Images drawn at random, beside the text that their label stands for. Where the strokes and the text part "
        "ways again and again, look at the label map first.",
        "".join(body),
        figure,
        shown=False,
    )


def by_frequency(labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes that have images, most frequent first, and the number of images of every class, (classes,)."""
    count = np.bincount(labels, minlength=classes)
    order = np.argsort(-count, kind="stable")
    return order[count[order] > 0], count


def ends(order: np.ndarray, head: Head) -> list[tuple[str, np.ndarray]]:
    """The most and the least frequent classes, each with its heading; all in one where there are few."""
    number = ENDS if head.classes > SMALL_HEAD else ENDS_OF_SMALL
    if len(order) < 2 * number:
        return [(f"all {counted(len(order), 'class', 'classes')}, most frequent first", order)]
    return [(f"the {number} most frequent", order[:number]), (f"the {number} least frequent", order[::-1][:number])]


def _line(data: DataSet, k: int, head: Head, label: int, count: int, most: int, rng: np.random.Generator) -> Line:
    rows = np.flatnonzero(data.labels[:, k] == label)
    chosen = rng.choice(rows, min(most, len(rows)), replace=False)
    return Line(data.spelled(head, label), counted(count, "image"), data.images[chosen])


def _rows(lines: list[Line], look: str = "rows") -> str:
    return f'<div class="{look}">' + "".join(
        f'<div class="row"><div class="words"><b>{escape(line.text)}</b><small>{line.note}</small></div>'
        f'<div class="pictures">{pictures(line.images)}</div></div>'
        for line in lines
    ) + "</div>"  # fmt: skip
