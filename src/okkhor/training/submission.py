"""The competition's submission: a row for each image and component, in the order that test.csv asks for."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from okkhor.errors import InputError


def submission_rows(
    data_dir: str | Path, image_ids: Sequence[str], columns: Sequence[str], predicted: Sequence[np.ndarray]
) -> list[tuple[str, int]]:
    """`(row_id, target)` pairs, row_id = `<image_id>_<column>`.

    columns: label columns of the heads; predicted: classes (N,) of each head, for the images in `image_ids`.
    The order is test.csv's where data_dir has one (columns row_id, image_id, component), else images as they
    come, columns by name.
    Raises InputError when test.csv asks for an image or a component that is not there.
    """
    answers = {
        f"{image_id}_{column}": int(label)
        for column, labels in zip(columns, predicted, strict=True)
        for image_id, label in zip(image_ids, labels, strict=True)
    }
    wanted = Path(data_dir) / "test.csv"
    if not wanted.is_file():
        order = [f"{image_id}_{column}" for image_id in image_ids for column in sorted(columns)]
        return [(row_id, answers[row_id]) for row_id in order]
    with wanted.open(encoding="utf-8-sig", newline="") as file:
        rows = [row.get("row_id") for row in csv.DictReader(file)]
    for number, row_id in enumerate(rows, start=2):
        if row_id not in answers:
            raise InputError(
                f"{wanted}, row {number}: asks for {row_id!r}; expected row_id of an image in the test files and "
                f"one of {', '.join(columns)}"
            )
    return [(row_id, answers[row_id]) for row_id in rows if row_id is not None]
