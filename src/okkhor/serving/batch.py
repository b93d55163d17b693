"""Many images at once: the competition's Parquet files or a folder of image files, streamed through a Predictor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from okkhor.errors import InputError
from okkhor.serving.answers import Answer, Refusal
from okkhor.serving.predictor import AT_ONCE, Predictor

if TYPE_CHECKING:
    from okkhor.data.competition import CompetitionFiles

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".npy"})


def parquet_files(paths: Sequence[str | Path]) -> list[CompetitionFiles]:
    """Image files of the competition's layout, chosen by name. Raises InputError where one is missing."""
    from okkhor.data.competition import CompetitionFiles
    from okkhor.data.sources import SourceFolder

    chosen = []
    for path in map(Path, paths):
        folder = SourceFolder(path.parent)
        if path.name not in folder.files:
            raise InputError(f"{path}: no such file")
        chosen.append(CompetitionFiles(folder, [folder.files[path.name]], None))
    return chosen


def read_parquet(
    predictor: Predictor, files: CompetitionFiles, advance: Callable[[float], None] = lambda _: None
) -> Iterator[tuple[list[str], list[np.ndarray]]]:
    """Image ids and the probabilities of each head, float32 (n, classes), a batch at a time in the files' order.

    Memory does not grow with the files: pixels go through a scratch file as large as the largest of them.
    advance: told the share of the pixels that was read, which adds up to 1. Pixels are taken as they are: the
    competition's format says what is paper. Raises InputError naming file and row.
    """
    height, width = predictor.raw_size
    ids = [name for chunks in files.read_ids(height * width) for name in chunks.to_pylist()]
    start = 0
    with TemporaryDirectory(prefix="okkhor-") as scratch:
        for band in files.pixel_bands(height * width, Path(scratch) / "pixels", advance):
            images = band.reshape(-1, height, width)
            for first in range(0, len(images), AT_ONCE):
                batch = np.stack([predictor.prepare(image) for image in images[first : first + AT_ONCE]])
                yield ids[start : start + len(batch)], predictor.probabilities(batch[:, np.newaxis])
                start += len(batch)


def image_files(folder: Path) -> list[Path]:
    """The image files below a folder, sorted, hidden ones left out. Raises InputError where there are none."""
    found = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not found:
        raise InputError(
            f"{folder}: neither test_image_data_0.parquet nor images in it; expected the competition's test files, "
            f"or {', '.join(sorted(SUFFIXES))} files"
        )
    return sorted(found)


def read_images(predictor: Predictor, paths: Sequence[Path]) -> Iterator[tuple[Path, Answer | Refusal]]:
    """What is read in each image file, in their order; files that are no image give a refusal."""
    for start in range(0, len(paths), AT_ONCE):
        chunk = paths[start : start + AT_ONCE]
        yield from zip(chunk, predictor.predict(chunk, top=1), strict=True)


def prediction_rows(found: Iterable[tuple[str, Answer | Refusal]], heads: Sequence[str]) -> Iterator[list[str | int]]:
    """Rows of predictions.csv, the header first: file, grapheme, confidence, class and probability of each head.

    A file that was refused has the reason in the last column and nothing in the others.
    """
    numbers = [f"{head}_{what}" for head in heads for what in ("class", "text", "probability")]
    yield ["file", "grapheme", "confidence", *numbers, "refused"]
    for name, one in found:
        if isinstance(one, Refusal):
            yield [name, "", "", *[""] * len(numbers), one.message]
            continue
        best = [one.heads[head][0] for head in heads]
        cells = [cell for choice in best for cell in (choice.label, choice.text, f"{choice.probability:.6f}")]
        yield [name, one.grapheme or "", f"{one.confidence:.6f}", *cells, ""]
