"""Runs to be compared, as their folders tell of them: nothing is trained or read by a network here."""

import csv
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from omegaconf import DictConfig

from okkhor.errors import InputError
from okkhor.reports.curves import Curve, read_metrics, steps_per_epoch
from okkhor.reports.predictions import FILE, Predictions
from okkhor.runs import Run

# of a command line: where a run lies, is computed and is shown, which changes nothing of what it learns
PLACES = (
    "name", "resume", "launcher", "paths", "data.dir", "data.store", "data.cache_dir", "data.workers", "hydra", "sweep",
    "logger", "export",
)  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """One run.

    name: short, of no other run of the comparison; differs: the words of its command line that not all runs have;
    predictions: of its validation images, sorted by image; metrics: of metrics.json; curves: of metrics.csv;
    seconds: its wall time, of a resumed run that of its last process; trained: images that training took, over all
    epochs, None where that is not known.
    """

    run: Run
    name: str
    differs: str
    predictions: Predictions
    metrics: Mapping[str, float]
    curves: Mapping[str, Curve]
    trained: int | None

    @property
    def seconds(self) -> float | None:
        return self.metrics.get("seconds")

    @property
    def images_per_second(self) -> float | None:
        """Training images over the whole wall time, in which validation and report are; None of a resumed run."""
        if self.metrics.get("resumed") or not self.trained or not self.seconds:
            return None
        return self.trained / self.seconds

    @property
    def parameters(self) -> int | None:
        return self.predictions.about.get("parameters")

    def shares_images_with(self, other: "Compared") -> bool:
        """Whether both were validated on the same images with the same labels, so that they can be paired."""
        ours, theirs = self.predictions, other.predictions
        return (
            ours.heads == theirs.heads
            and list(ours.image_ids) == list(theirs.image_ids)
            and np.array_equal(ours.labels, theirs.labels)
        )


def read_runs(paths: Sequence[Path]) -> tuple[list[Compared], list[str]]:
    """The runs in their order, each once, and what is to be said of those that are left out: they have not finished.

    paths: run directories, and folders that hold such, as those of sweeps. Raises InputError where fewer than two runs
    have finished, and naming a run that has no trained heads, or no predictions beside its report.
    """
    found = {run.path: run for path in paths for run in _found(path)}
    runs = [run for run in found.values() if (run.path / "metrics.json").is_file()]
    left_out = [f"left out: {path} has not finished" for path in found if not (path / "metrics.json").is_file()]
    if len(runs) < 2:
        raise InputError(
            f"{' '.join(map(str, paths))}: {len(runs) or 'no'} finished run; expected two at least, or a sweep of such"
            + "".join(f"; {line}" for line in left_out)
        )
    names, words = short_names([run.path for run in runs]), [_words(run.path) for run in runs]
    shared = set.intersection(*map(set, words))
    return [
        _read(run, name, " ".join(word for word in own if word not in shared))
        for run, name, own in zip(runs, names, words, strict=True)
    ], left_out


def _found(path: Path) -> list[Run]:
    """The run that a folder is, or those that lie in it."""
    path = path.expanduser()
    if not path.is_dir() or (path / "config.yaml").is_file():
        return [Run.open(path)]
    inside = [config.parent for config in path.glob("*/config.yaml")]
    if not inside:
        raise InputError(f"{path}: no run in it; expected a run directory, or a folder of runs such as a sweep's")
    return [Run.open(run) for run in sorted(inside, key=lambda run: (len(run.name), run.name))]


def _read(run: Run, name: str, differs: str) -> Compared:
    config, metrics = run.config(), run.metrics()
    if config.get("pretrain") is not None:
        raise InputError(
            f"{run.path}: a pretraining has no trained heads to compare; expected runs trained with labels"
        )
    if not (path := run.report / FILE).is_file():
        raise InputError(
            f"{run.path}: no report/{FILE} in it, which comparing takes; "
            f"`python scripts/evaluate.py {shlex.quote(str(run.path))} --report` writes it"
        )
    curves = read_metrics(run.logs / "metrics.csv")
    return Compared(
        run, name, differs, _sorted(Predictions.read(path)), metrics, curves, _trained(metrics, curves, config)
    )


def _sorted(predictions: Predictions) -> Predictions:
    order = np.argsort(np.array(predictions.image_ids, dtype=object), kind="stable")
    arrays = (predictions.labels, predictions.predicted, predictions.p_label, predictions.p_predicted)
    ids = [predictions.image_ids[k] for k in order]
    return Predictions(predictions.heads, ids, *(array[order] for array in arrays), predictions.about)


def _trained(metrics: Mapping[str, float], curves: Mapping[str, Curve], config: DictConfig) -> int | None:
    """Images that all optimizer steps took; of a run that did not count them, by its curves and typed batch."""
    if (counted := metrics.get("images/training")) is not None:
        return int(counted)
    if not curves or steps_per_epoch(dict(curves)) is None or config.trainer.get("scale_lr", "none") != "none":
        return None
    steps = max(int(at[-1]) for at, _ in curves.values()) + 1
    return steps * int(config.data.batch_size) * int(config.trainer.get("accumulate_grad_batches") or 1)


def short_names(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of paths that tell runs apart: `job 3` of one sweep, the run's name, or more of the path."""

    def own(path: Path) -> str:
        of_sweep = path.name.isdecimal()
        return f"job {path.name}" if of_sweep else path.parent.name

    def ends(count: int) -> Callable[[Path], str]:
        return lambda path: "/".join(path.parts[-count:])

    for name in (own, *map(ends, range(2, max(len(path.parts) for path in paths) + 1))):
        names = [name(path) for path in paths]
        if len(set(names)) == len(paths):
            return names
    raise AssertionError("equal paths")


def _words(path: Path) -> list[str]:
    """What was typed for a run, without what says where it lies; of a sweep's job, what was typed for that job."""
    command = _command_of_job(path) or _provenance(path).get("command") or ""
    try:
        words = shlex.split(str(command))
    except ValueError:
        return []
    keys = [(word, word.lstrip("+~").partition("=")[0]) for word in words if "=" in word]
    return [word for word, key in keys if not any(key == place or key.startswith(f"{place}.") for place in PLACES)]


def _command_of_job(path: Path) -> str | None:
    table = path.parent / "leaderboard.csv"
    if not table.is_file():
        return None
    with table.open(newline="", encoding="utf-8") as file:
        return next((row.get("command") for row in csv.DictReader(file) if row.get("job") == path.name), None)


def _provenance(path: Path) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load((path / "provenance.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}
