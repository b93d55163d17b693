"""Where metrics go: CSV always readable, TensorBoard and Weights & Biases when asked for; all go on after a resume."""

import csv
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from okkhor.atomic import write_atomically
from okkhor.errors import InputError
from okkhor.runs import Run


class ContinuedCSVLogger(CSVLogger):
    """Lightning's CSVLogger, which would delete the metrics of the run that it continues.

    folder: gets metrics.csv; from_step: rows of this step and later are dropped, since they are about to come again.
    """

    def __init__(self, folder: Path, from_step: int | None) -> None:
        super().__init__(folder, name="", version="")
        self.before = _rows_before(folder / "metrics.csv", from_step) if from_step is not None else []

    @property
    def experiment(self) -> Any:
        fresh = self._experiment is None
        with warnings.catch_warnings():
            # it says that it deletes what it finds; that is put back below
            warnings.filterwarnings("ignore", "Experiment logs directory .* exists and is not empty")
            experiment = super().experiment
        if fresh and self.before and rank_zero_only.rank == 0:  # other ranks write nothing
            path = Path(experiment.metrics_file_path)
            names = list(dict.fromkeys(name for row in self.before for name in row))
            lines = [names, *([row.get(name, "") for name in names] for row in self.before)]
            write_atomically(path, "".join(",".join(line) + "\n" for line in lines))
            experiment.metrics_keys = names
        return experiment


def _rows_before(path: Path, step: int) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row.get("step") and int(row["step"]) < step]


def build_loggers(run: Run, block: Mapping[str, Any] | None, from_step: int | None) -> list[Logger]:
    """The loggers of a run; block: the `logger` group; from_step: where a resumed run goes on, else None."""
    block = block or {}
    unknown = sorted(set(block) - {"csv", "tensorboard", "wandb"})
    if unknown:
        raise InputError(f"logger.{unknown[0]}: no such logger; expected csv, tensorboard or wandb")
    made: list[Logger] = []
    if "csv" in block:
        made.append(ContinuedCSVLogger(run.logs, from_step))
    if "tensorboard" in block:
        made.append(TensorBoardLogger(run.logs, name="", version="tensorboard", **block["tensorboard"]))
    if "wandb" in block:
        made.append(WandbLogger(save_dir=run.logs, id=run.id, name=run.id, resume="allow", **block["wandb"]))
    return made


def log_pictures(loggers: Iterable[Logger], pictures: Mapping[str, Path], step: int) -> None:
    """Show the report's pictures in every logger that shows pictures; pictures: name -> PNG."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            for name, path in pictures.items():
                logger.log_image(f"report/{name}", [str(path)])
        elif isinstance(logger, TensorBoardLogger):
            import numpy as np
            from PIL import Image

            for name, path in pictures.items():
                with Image.open(path) as image:
                    logger.experiment.add_image(
                        f"report/{name}", np.asarray(image.convert("RGB")), step, dataformats="HWC"
                    )


def finish(loggers: Iterable[Logger], status: str) -> None:
    """Close the loggers, so that the next job of this process gets runs of its own."""
    for logger in loggers:
        logger.finalize(status)
        if isinstance(logger, WandbLogger):
            logger.experiment.finish(exit_code=0 if status == "success" else 1)
