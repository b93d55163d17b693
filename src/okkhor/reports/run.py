"""The report of a run: what a newcomer looks at first, and a practitioner before the next experiment."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from okkhor.heads import Heads
from okkhor.reports import style
from okkhor.reports.calibration import Calibration, draw_calibration
from okkhor.reports.confusion import draw_confusion
from okkhor.reports.curves import draw_curves, read_metrics
from okkhor.reports.gradcam import Explained, draw_gradcam
from okkhor.reports.misread import Images, draw_misread
from okkhor.reports.naming import Naming
from okkhor.reports.page import write_page
from okkhor.reports.predictions import FILE as PREDICTIONS
from okkhor.reports.predictions import Predictions
from okkhor.reports.recall import HeadResult, draw_recall, write_csv

PICTURES = ("learning_curves", "misread", "gradcam", "recall", "confusion", "calibration")


@dataclass(frozen=True)
class Readings:
    """What a model said of a labeled set.

    images: (N, H, W) uint8, paper white, or anything that gives (n, H, W) for an array of n indices;
    labels: (N, heads) int64; probabilities: per head (N, classes) float32; seen: (N,) bool, whether training had the
    image's label combination, None where that is not known; image_ids: of each image, None where they have none;
    about: what else predictions.parquet shall tell, see `okkhor.reports.predictions`.
    """

    images: Images
    labels: np.ndarray
    probabilities: list[np.ndarray]
    seen: np.ndarray | None = None
    image_ids: Sequence[str] | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def results(self, heads: Heads, chosen: np.ndarray | None = None) -> list[HeadResult]:
        """Each head's labels and most probable classes; chosen: (N,) bool, of these images alone."""
        rows = slice(None) if chosen is None else chosen
        return [
            HeadResult.of(head, self.labels[rows, k], self.probabilities[k][rows].argmax(axis=1))
            for k, head in enumerate(heads)
        ]

    def parts(self, heads: Heads) -> dict[str, list[HeadResult]]:
        """The results on combinations that training had and on others, empty where that is not known."""
        if self.seen is None:
            return {}
        return {"seen in training": self.results(heads, self.seen), "never seen": self.results(heads, ~self.seen)}


def write_report(
    run_dir: Path,
    readings: Readings,
    heads: Heads,
    names: Mapping[str, Sequence[str]] | None = None,
    compose: Callable[[Sequence[int]], str] | None = None,
    by_neighbors: bool = False,
    remark: str = "",
    explained: Explained | None = None,
    folder: Path | None = None,
    own: bool = True,
) -> list[Path]:
    """Write `<run_dir>/report/`: pictures, tables and index.html that shows them. Returns the files written.

    names: head name -> text of each class (default: its number); compose: labels of all heads -> text of the whole,
    ValueError where there is none; by_neighbors: the readings are the vote of the nearest labeled images, of a
    pretraining that logs `val/knn_score`, and no probabilities of a network; remark: a sentence that the page says
    below the score; explained: where the network looked; folder: where to write instead; own: the images are those
    that the run was validated on. Only then there are learning curves, from `<run_dir>/logs/metrics.csv`, where it
    holds any.
    """
    assert readings.labels.shape[1] == len(readings.probabilities) == len(heads), "one column of labels a head"
    naming, results = Naming(names, compose), readings.results(heads)
    report = folder or run_dir / "report"
    report.mkdir(parents=True, exist_ok=True)
    curves = read_metrics(run_dir / "logs" / "metrics.csv") if own else {}
    said = readings.probabilities
    figures = {
        "learning_curves": draw_curves(curves, heads, by_neighbors=by_neighbors),
        "misread": draw_misread(readings.images, results, said, naming),
        "gradcam": draw_gradcam(explained, results, said, naming) if explained else None,
        "recall": draw_recall(results, naming),
        "confusion": draw_confusion(results, naming),
        "calibration": None if by_neighbors else draw_calibration(results, said),
    }
    for name, figure in figures.items():
        if figure is None:  # a picture of an earlier report would tell of other readings
            (report / f"{name}.png").unlink(missing_ok=True)
    pictures = [style.save(figure, report / f"{name}.png") for name, figure in figures.items() if figure]
    tables = [write_csv(results, naming, report / "recall.csv")]
    if readings.image_ids is not None and not by_neighbors:
        tables.append(Predictions.of(readings.image_ids, results, said, readings.about).write(report / PREDICTIONS))
    errors = None if by_neighbors else [Calibration.of(r, p).error for r, p in zip(results, said, strict=True)]
    page = write_page(
        report / "index.html", run_dir, results, readings.parts(heads), naming, pictures, tables, errors, by_neighbors,
        remark,
    )  # fmt: skip
    return [*pictures, *tables, page]


def report_images(run_dir: Path) -> dict[str, Path]:
    """The report's pictures by name, for loggers: those that are there."""
    paths = {name: run_dir / "report" / f"{name}.png" for name in PICTURES}
    return {name: path for name, path in paths.items() if path.is_file()}
