"""Read many images with a trained model: the competition's test files, or any image files.

python scripts/predict.py runs/default/2026-11-22_20-18-00 --data /data/bengaliai-cv19    # writes submission.csv
python scripts/predict.py runs/default/2026-11-22_20-18-00 --data photos/                 # writes predictions.csv
python scripts/predict.py runs/default/2026-11-22_20-18-00/bundle --data a.png b.png --format onnx_int8

A run without a bundle, or trained on since, gets one first, in <run>/bundle. A bundle is read without PyTorch.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

    from okkhor.data.competition import CompetitionFiles
    from okkhor.serving.bundle import Bundle
    from okkhor.serving.predictor import Predictor

os.environ.setdefault("OKKHOR_ROOT", str(Path(__file__).resolve().parent.parent))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="RUN", help="a run directory or a bundle")
    parser.add_argument(
        "--data",
        required=True,
        nargs="+",
        metavar="PATH",
        help="a folder with test_image_data_*.parquet (and test.csv), a folder of images, or such files themselves",
    )
    parser.add_argument("--out", type=Path, help="default: submission.csv, or predictions.csv for image files")
    parser.add_argument("--format", help="of the bundle; default: the fastest that it has")
    parser.add_argument("--trust", action="store_true", help="load formats that are code, of a bundle that you made")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="default: one a processor")
    arguments = parser.parse_args()

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from okkhor.errors import InputError
    from okkhor.serving.predictor import Predictor

    try:
        tables, images = _sources(arguments.data)
    except ImportError as error:  # images are read without
        raise InputError(f"--data: Parquet files cannot be read here ({error}); pip install pyarrow") from error
    bundle = _bundle(arguments.model, arguments.format)
    predictor = Predictor.load(bundle, arguments.format, threads=arguments.threads, trust=arguments.trust)
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        if tables:
            said = _submit(predictor, tables, arguments.data[0], arguments.out or Path("submission.csv"), progress)
        else:
            said = _list(predictor, images, arguments.out or Path("predictions.csv"), progress)
    print(said)


def _sources(given: list[str]) -> tuple[list[CompetitionFiles], list[tuple[str, Path]]]:
    """The competition's files, or image files with the names to list them by; one of the two is empty."""
    from okkhor.errors import InputError
    from okkhor.serving.batch import image_files, parquet_files

    first = Path(given[0])
    if len(given) == 1 and ("://" in given[0] or any(first.glob("test_image_data_*.parquet"))):
        from okkhor.data.competition import CompetitionFiles

        return [CompetitionFiles.find(given[0], "test")], []
    if all(name.endswith(".parquet") for name in given):
        return parquet_files(given), []
    if len(given) == 1 and first.is_dir():
        return [], [(path.relative_to(first).as_posix(), path) for path in image_files(first)]
    for name in given:
        if name.endswith(".parquet") or not Path(name).is_file():
            raise InputError(f"--data {name}: expected one folder, or files that are all Parquet or all images")
    return [], [(name, Path(name)) for name in given]


def _bundle(path: str, format: str | None) -> Bundle:
    """The bundle that a path means; made where it means a run without one."""
    from okkhor.errors import InputError
    from okkhor.serving.runtimes import FORMATS
    from okkhor.training.bundles import bundle_of

    if format is not None and format not in FORMATS:
        raise InputError(f"--format={format}: expected one of {', '.join(FORMATS)}")
    return bundle_of(path, format, say=lambda line: print(line, file=sys.stderr, flush=True))


def _submit(predictor: Predictor, tables: list[CompetitionFiles], folder: str, out: Path, progress: Progress) -> str:
    from okkhor.atomic import replacing
    from okkhor.serving.batch import read_parquet
    from okkhor.training.submission import submission_rows

    height, width = predictor.raw_size
    total = sum(len(ids) for files in tables for ids in files.read_ids(height * width))
    pixels = progress.add_task("reading", total=100 * len(tables))
    answers = progress.add_task("answering", total=total)
    names: list[str] = []
    classes: list[list[int]] = [[] for _ in predictor.bundle.heads]
    for files in tables:
        for ids, probabilities in read_parquet(predictor, files, lambda share: progress.advance(pixels, 100 * share)):
            names += ids
            for found, head in zip(classes, probabilities, strict=True):
                found += head.argmax(1).tolist()
            progress.advance(answers, len(ids))
    rows = submission_rows(folder, names, predictor.bundle.heads.columns, classes)
    with replacing(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("row_id", "target"), *rows])
    return f"{out}: {len(rows):,} rows for {total:,} images"


def _list(predictor: Predictor, images: list[tuple[str, Path]], out: Path, progress: Progress) -> str:
    from okkhor.atomic import replacing
    from okkhor.serving.answers import Answer, Refusal
    from okkhor.serving.batch import prediction_rows, read_images

    task = progress.add_task("answering", total=len(images))
    refused = 0

    def named() -> Iterable[tuple[str, Answer | Refusal]]:
        nonlocal refused
        found = read_images(predictor, [path for _, path in images])
        for (name, _), (_, one) in zip(images, found, strict=True):
            refused += isinstance(one, Refusal)
            progress.advance(task)
            yield name, one

    with replacing(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(prediction_rows(named(), predictor.bundle.heads.names))
    bad = f"; {refused:,} could not be read, see the last column" if refused else ""
    return f"{out}: {len(images):,} images{bad}"


if __name__ == "__main__":
    from okkhor.launching.exits import one_line_errors

    with one_line_errors():
        main()
