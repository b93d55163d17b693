"""sweep=grid: every combination of the values listed, as Hydra's own sweeper makes them, in the same order."""

import itertools
from collections.abc import Mapping

from okkhor.errors import InputError
from okkhor.launching.leaderboard import Entry, Leaderboard, announce
from okkhor.launching.manifest import sweep_folder
from okkhor.launching.sweeping import SweepLauncher
from okkhor.launching.words import DIRECTION, Words, check_sweep, choices, read_words

Values = dict[str, str]  # option -> value as typed, for each option that is varied


def run_grid(launcher: SweepLauncher, typed: list[str]) -> list[float | None]:
    """Run all combinations; returns their objectives, None for those without.

    Each is checked before the first starts. Raises InputError for what a combination would refuse, JobFailedError at
    the end where a job failed, StoppedError after Ctrl-C.
    """
    check_sweep(launcher.config.sweep, {"direction": DIRECTION})
    words = read_words(launcher.loader, typed)
    jobs = combinations(words)
    _check(launcher, words, jobs)
    if launcher.show(words.job(values) for values in jobs):
        return []
    # what shuffle() and glob() gave is kept: the jobs of a sweep that goes on are those it began with
    with sweep_folder(launcher, typed, jobs=jobs) as kept:
        jobs = kept["jobs"]
        launcher.fixed = words.fixed
        board = Leaderboard(
            launcher.folder, words, launcher.config.objective, launcher.config.sweep.direction == "maximize"
        )
        announce(launcher.folder, words, len(jobs))
        outcomes = launcher.stream(
            ((number, words.job(values)) for number, values in enumerate(jobs)),
            finished=lambda outcome: board.add(Entry.of(outcome, jobs[outcome.job.number])),
            total=len(jobs),
        )
        board.show()
        board.raise_for_failed(f"; `python train.py resume={launcher.folder}` tries them again")
    return [outcome.objective for outcome in sorted(outcomes, key=lambda outcome: outcome.job.number)]


def combinations(words: Words) -> list[Values]:
    """The Cartesian product of the varied options' values, the last one changing fastest."""
    axes = {key: choices(override) for key, override in words.varied.items()}
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _check(launcher: SweepLauncher, words: Words, jobs: list[Mapping[str, str]]) -> None:
    for values in jobs:
        try:
            launcher.check_here(launcher.job_config(words.job(values)))
        except InputError as error:
            said = " ".join(f"{key}={value}" for key, value in values.items())
            raise InputError(f"{error} (in the job {said})" if said else str(error)) from None
