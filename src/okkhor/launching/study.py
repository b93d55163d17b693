"""sweep=optuna: Optuna proposes each next run from those before; its study lies in the sweep's folder.

Each trial is a job of the same number. Jobs report their score of each epoch, and those that fall behind are stopped.
A study that was killed goes on: what has ended is kept, what was running goes on with the same values. TPE follows
arXiv:2304.11127.
"""

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from okkhor.errors import InputError
from okkhor.launching.backend import Status
from okkhor.launching.jobs import Job, Outcome, Rows
from okkhor.launching.leaderboard import PRUNED, Entry, Leaderboard, announce
from okkhor.launching.manifest import sweep_folder
from okkhor.launching.sweeping import Numbered, SweepLauncher
from okkhor.launching.words import DIRECTION, Words, check_sweep, choices, read_words
from okkhor.training.options import BOOLEAN, Check, in_one_line, integer

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

JOURNAL = "study.journal"
CHECKS: dict[str, Check] = {
    "direction": DIRECTION,
    "trials": integer(1),
    "seed": integer(0),
    "startup": integer(1),
    "prune": BOOLEAN,
    "warmup": integer(0),
}


def run_study(launcher: SweepLauncher, typed: list[str]) -> list[float | None]:
    """Run `sweep.trials` jobs; returns their objectives, None for those without.

    Raises InputError for a mistake in the words or the space, JobFailedError at the end where a job failed,
    StoppedError after Ctrl-C.
    """
    try:
        import optuna
    except ModuleNotFoundError:
        raise InputError("sweep=optuna: Optuna is not installed; expected pip install -e '.[optuna]'") from None

    block = launcher.config.sweep
    check_sweep(block, CHECKS)
    words = read_words(launcher.loader, typed, block.get("space"))
    space = {key: distribution(override) for key, override in words.varied.items()}
    if not space:
        raise InputError("sweep.space: there is nothing to vary; expected an option=choice(…), range(…) or interval(…)")
    if launcher.show([words.fixed]):  # of a trial; what Optuna draws changes config.yaml alone
        return []
    if not launcher.place.waits:
        raise InputError(
            "launcher.wait=false: sweep=optuna proposes by what jobs have found; expected launcher.wait=true"
        )
    launcher.check_here(launcher.config)  # one trial after the other would be refused
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sweep_words = {key: str(override.input_line) for key, override in words.varied.items()}
    with sweep_folder(launcher, typed, space=sweep_words) as kept:
        if kept["space"] != sweep_words:
            raise InputError(
                f"sweep.space: {launcher.folder} was begun with {kept['space']}; expected the same to go on with it"
            )
        launcher.fixed = words.fixed
        trials = Trials(launcher, words, space, open_study(launcher.folder, block))
        announce(launcher.folder, words, block.trials)
        launcher.stream(trials.jobs(), watch=trials.watch, finished=trials.finished, total=block.trials)
        trials.board.show()
        trials.board.raise_for_failed()
    return [trial.value for trial in trials.study.trials]


def open_study(folder: Path, block: Mapping[str, Any]) -> "Study":
    """The study of a sweep's folder, made where there is none; block: the `sweep` group."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    journal = folder / JOURNAL
    _drop_torn_line(journal)
    # the other lock is a file that a kill would leave behind; the folder has one process at a time anyway
    storage = JournalStorage(JournalFileBackend(str(journal), lock_obj=JournalFileOpenLock(str(journal))))
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if block["prune"]:
        pruner = optuna.pruners.MedianPruner(n_startup_trials=block["startup"], n_warmup_steps=block["warmup"])
    return optuna.create_study(
        study_name="okkhor", storage=storage, direction=block["direction"], pruner=pruner, load_if_exists=True
    )


def _drop_torn_line(journal: Path) -> None:
    """A kill may have come while a line was written; the next would be appended to it, and none be read again."""
    if journal.is_file() and not (text := journal.read_bytes()).endswith(b"\n"):
        os.truncate(journal, text.rfind(b"\n") + 1)


def distribution(override: Override) -> "BaseDistribution":
    """What Optuna draws from, for Hydra's choice, range or interval; a tag `log` draws by the logarithm.

    Choices are drawn as the words that are typed.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = override.value()
    log = isinstance(value, RangeSweep | IntervalSweep) and "log" in value.tags
    try:
        if isinstance(value, IntervalSweep):
            kind = IntDistribution if isinstance(value.start, int) else FloatDistribution
            return kind(value.start, value.end, log=log)
        if isinstance(value, RangeSweep) and not value.shuffle:
            numbers = [*value.range()]
            if numbers and all(isinstance(number, int) for number in numbers):
                step = abs(value.step) if len(numbers) > 1 else 1
                return IntDistribution(min(numbers), max(numbers), log=log, step=step)
    except ValueError as error:
        raise InputError(f"{override.input_line}: {error}") from None
    return CategoricalDistribution(choices(override))


class Trials:
    """The trials of a study as jobs of a sweep."""

    def __init__(
        self, launcher: SweepLauncher, words: Words, space: Mapping[str, "BaseDistribution"], study: "Study"
    ) -> None:
        self.launcher, self.words, self.space, self.study = launcher, words, space, study
        self.block = launcher.config.sweep
        self.objective = launcher.config.objective
        self.board = Leaderboard(launcher.folder, words, self.objective, self.block.direction == "maximize")
        self.running: dict[int, Trial] = {}
        self.pruned: set[int] = set()

    def jobs(self) -> Iterator[Numbered]:
        """First what an earlier process left running, then new ones; a job that cannot be composed is recorded."""
        from optuna.trial import TrialState

        before = self.study.get_trials(deepcopy=False)
        self.board.add(*(_entry(trial, self.words) for trial in before if trial.state.is_finished()))
        for trial in before:
            if trial.state == TrialState.RUNNING:
                yield from self._job(_taken_up(self.study, trial))
        while (begun := self._begun()) < self.block.trials:
            self.study.sampler = self._sampler(begun)
            yield from self._job(self.study.ask())

    def watch(self, job: Job, rows: Rows) -> bool:
        """Report an epoch's score; whether the job is to be stopped for it."""
        trial = self.running[job.number]
        reported = self.study.get_trials(deepcopy=False)[job.number].intermediate_values
        for row in rows:
            if row.get(self.objective) and (epoch := int(float(row["epoch"]))) not in reported:
                score = float(row[self.objective])
                if math.isfinite(score):
                    trial.report(score, epoch)
        if self.block.prune and trial.should_prune():
            self.pruned.add(job.number)
            return True
        return False

    def finished(self, outcome: Outcome) -> None:
        """Tell the study how a job ended; one that was stopped by hand stays open, to go on another time."""
        from optuna.trial import TrialState

        number = outcome.job.number
        trial = self.running.pop(number)
        entry = Entry.of(outcome, self._values(trial))
        trial.set_user_attr("seconds", round(entry.seconds, 1))
        if entry.objective is not None:
            trial.set_user_attr("metrics", entry.metrics)
            trial.set_user_attr("threads", entry.threads)
            self.study.tell(number, entry.objective)
        elif outcome.status is Status.STOPPED and number in self.pruned:
            self.study.tell(number, state=TrialState.PRUNED)
        elif outcome.status is not Status.STOPPED:
            trial.set_user_attr("reason", entry.reason)
            self.study.tell(number, state=TrialState.FAIL)
        else:
            self.board.add(entry)
            return
        self.board.add(_entry(self.study.get_trials(deepcopy=False)[number], self.words))

    def _begun(self) -> int:
        """Trials that were drawn; one that a person has put into the study by hand is not yet."""
        from optuna.trial import TrialState

        return sum(trial.state != TrialState.WAITING for trial in self.study.get_trials(deepcopy=False))

    def _job(self, trial: "Trial") -> Iterator[Numbered]:
        from optuna.trial import TrialState

        self.running[trial.number] = trial
        words = self.words.job(self._values(trial))
        try:
            self.launcher.job_config(words)
        except (InputError, HydraException, OmegaConfBaseException) as error:
            trial.set_user_attr("reason", in_one_line(error, dict) if not isinstance(error, InputError) else str(error))
            self.study.tell(trial.number, state=TrialState.FAIL)
            self.board.add(_entry(self.study.get_trials(deepcopy=False)[trial.number], self.words))
            return
        yield trial.number, words

    def _values(self, trial: "Trial") -> dict[str, str]:
        """What a trial varies, drawn where it has not been yet, as it is typed."""
        return {key: _typed(_draw(trial, key, drawn)) for key, drawn in self.space.items()}

    def _sampler(self, number: int) -> Any:
        """TPE, seeded for each trial anew: a study that goes on draws as one that was never interrupted."""
        import numpy as np
        import optuna

        seed = int(np.random.SeedSequence([self.block.seed, number]).generate_state(1)[0])
        return optuna.samplers.TPESampler(n_startup_trials=self.block.startup, seed=seed)


def _draw(trial: "Trial", key: str, drawn: "BaseDistribution") -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match drawn:
        case CategoricalDistribution():
            return trial.suggest_categorical(key, drawn.choices)
        case IntDistribution():
            return trial.suggest_int(key, drawn.low, drawn.high, step=drawn.step, log=drawn.log)
        case FloatDistribution():
            return trial.suggest_float(key, drawn.low, drawn.high, step=drawn.step, log=drawn.log)
    raise AssertionError(drawn)


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _taken_up(study: "Study", trial: "FrozenTrial") -> "Trial":
    """A trial that another process began, with what that had drawn for it."""
    from optuna import Trial

    return Trial(study, trial._trial_id)


def _entry(trial: "FrozenTrial", words: Words) -> Entry:
    from optuna.trial import TrialState

    status = {TrialState.COMPLETE: Status.DONE, TrialState.PRUNED: PRUNED, TrialState.FAIL: Status.FAILED}[trial.state]
    kept = trial.user_attrs
    reason = kept.get("reason", "")
    if status == PRUNED:
        epoch = trial.last_step
        reason = f"worse than the median after epoch {epoch + 1}" if epoch is not None else ""
    value = trial.value if trial.state == TrialState.COMPLETE else None
    varied = {key: _typed(trial.params[key]) if key in trial.params else "" for key in words.varied}
    seconds, metrics, threads = kept.get("seconds", 0.0), kept.get("metrics", {}), kept.get("threads")
    return Entry(trial.number, varied, status, value, seconds, reason, metrics, threads)
