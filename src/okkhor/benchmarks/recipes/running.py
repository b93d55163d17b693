"""Run the rows of the bench, each a run of its own in a fresh process, kept: a bench that was stopped goes on."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from okkhor.atomic import write_atomically
from okkhor.benchmarks.recipes.plan import Plan, Row
from okkhor.benchmarks.report import machine
from okkhor.errors import InputError, JobFailedError
from okkhor.launching.backend import Status
from okkhor.launching.jobs import Job, Outcome, Rows, run_jobs
from okkhor.launching.local import LocalBackend
from okkhor.runs import Run

RESULTS = "results.json"
PACKAGES = ("torch", "pytorch-lightning", "torchvision", "timm", "albumentations", "numpy")
Found = dict[str, Any]  # what is known of a row: words, metrics, seconds, machine


@dataclass(frozen=True)
class Bench:
    """The bench in a folder: a run directory for each row, and results.json.

    root: the project's folder; folder: where the runs lie; extra: words of every row, such as data.dir=DIR.
    """

    root: Path
    folder: Path
    extra: Sequence[str] = ()

    def results(self) -> dict[str, Found]:
        """Row name -> what was found, of the rows that have ended; raises InputError for a file that is no JSON."""
        path = self.folder / RESULTS
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read ({error}); remove it, and the rows are read again") from error

    def run(self, plan: Plan, rows: Sequence[Row]) -> dict[str, str]:
        """Run what has no result yet, a group after the other; returns why rows failed, by name.

        Raises StoppedError after Ctrl-C, when every job has saved.
        """
        failed: dict[str, str] = {}
        for group, settings in plan.groups.items():
            missing = [row for row in rows if row.group == group and not self._known(row)]
            training = [row for row in missing if row.trains]
            if training:
                failed |= self._train(training, int(settings.get("at_once", 1)))
            for row in missing:
                if not row.trains and (reason := self._evaluate(plan, row)):
                    failed[row.name] = reason
        return failed

    def _known(self, row: Row) -> bool:
        """Whether a row has a result, of these very words: another plan measures anew."""
        return self.results().get(row.name, {}).get("words") == [*row.words, *row.evaluate]

    def _train(self, rows: Sequence[Row], at_once: int) -> dict[str, str]:
        jobs = [Job(number, list(row.words), self._opened(row)) for number, row in enumerate(rows)]
        by_number = dict(enumerate(rows))
        failed: dict[str, str] = {}

        def reached(job: Job, new: Rows) -> bool:
            limit = by_number[job.number].until
            scores = [float(line["val/score"]) for line in new if line.get("val/score")]
            return limit is not None and any(score >= limit for score in scores)

        def finished(outcome: Outcome) -> None:
            row = by_number[outcome.job.number]
            if outcome.status is Status.DONE:
                self._keep(row, outcome.job.run.metrics())
            elif outcome.status is Status.STOPPED and row.until is not None:
                self._keep(row, {"seconds": round(outcome.seconds, 1), **_reached(outcome.job.run, row.until)})
            elif outcome.status is Status.FAILED:
                failed[row.name] = outcome.message

        run_jobs(LocalBackend(at_once), jobs, watch=reached, finished=finished, total=len(jobs))
        return failed

    def _opened(self, row: Row) -> Run:
        """The row's run directory, made with its configuration where there is none of these words yet."""
        path = self.folder / row.name
        config = self._config(row)
        if row.until is not None and path.is_dir():
            shutil.rmtree(path)  # a race that was stopped starts again: half of it would tell no time
        if (path / "config.yaml").is_file():
            run = Run.open(path)
            if run.config() == _as_written(run, config):
                return run
            raise InputError(f"{path}: holds a run of other words; remove it, or choose another folder with --out")
        run = Run.create(self.folder, row.name, job=row.name, sweep=self.folder)
        run.write_config(config)
        return run

    def _config(self, row: Row) -> Any:
        from hydra import compose, initialize_config_dir

        from okkhor.training.options import check_options

        with initialize_config_dir(str(self.root / "configs"), version_base="1.3"):
            config = compose("train", [*row.words, *self.extra])
        check_options(config)
        return config

    def _evaluate(self, plan: Plan, row: Row) -> str:
        """Score another row's run in another way; returns why it failed, empty when it did not."""
        assert row.against is not None
        out = self.folder / f".{row.name}.json"
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, str(self.root / "scripts/evaluate.py"), str(self.folder / row.against), *row.evaluate,
             "--json", str(out)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        try:
            if done.returncode:
                return (done.stderr.strip().splitlines() or ["no word"])[-1]
            metrics = json.loads(out.read_text(encoding="utf-8"))
        finally:
            out.unlink(missing_ok=True)
        self._keep(row, {**metrics, "seconds": round(time.monotonic() - started, 1)})
        return ""

    def _keep(self, row: Row, metrics: Mapping[str, Any]) -> None:
        known = self.results()
        known[row.name] = {
            "words": [*row.words, *row.evaluate],
            "metrics": dict(metrics),
            "machine": machine(PACKAGES),
        }
        write_atomically(self.folder / RESULTS, json.dumps(known, indent=1, sort_keys=True) + "\n")


def _as_written(run: Run, config: Any) -> Any:
    """A configuration as it would stand in a run directory."""
    from omegaconf import OmegaConf

    from okkhor.runs import portable

    return OmegaConf.create(OmegaConf.to_yaml(portable(config)))


def _reached(run: Run, limit: float) -> dict[str, Any]:
    """The first score of at least `limit` in a run's log, and its epoch."""
    import csv

    with (run.logs / "metrics.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            if line.get("val/score") and float(line["val/score"]) >= limit:
                return {"val/score": float(line["val/score"]), "epochs": int(float(line["epoch"])) + 1}
    raise JobFailedError(f"{run.path}: stopped before it reached {limit}")
