"""Optuna's trials as jobs: what is drawn, what is told, what goes on after a kill."""

import csv
import math
import sys

import optuna
import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from okkhor.errors import InputError, JobFailedError
from okkhor.launching.study import JOURNAL, distribution, open_study, run_study
from okkhor.runs import Run

WORDS = ["sweep=optuna", "sweep.startup=3", "optimizer.lr=tag(log,interval(1e-4,1e-1))", "aug=none,light"]


def by_rate(config):
    """Best at a learning rate of 0.01."""
    return 0.9 - abs(math.log10(config.optimizer.lr) + 2) / 5


def study_of(launcher):
    return open_study(launcher.folder, launcher.config.sweep)


def drawn(study):
    return [trial.params for trial in study.trials]


def rows(folder):
    with (folder / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("a=interval(1,5)", FloatDistribution(1, 5)),
        ("a=tag(log,interval(1e-4,1e-1))", FloatDistribution(1e-4, 1e-1, log=True)),
        ("a=int(interval(1,5))", IntDistribution(1, 5)),
        ("a=tag(log,int(interval(1,64)))", IntDistribution(1, 64, log=True)),
        ("a=range(1,10,4)", IntDistribution(1, 9, step=4)),  # as in a grid, the end is left out
        ("a=range(5,1,-2)", IntDistribution(3, 5, step=2)),
        ("a=range(0.1,0.35,0.1)", CategoricalDistribution(["0.1", "0.2", "0.30000000000000004"])),
        ("a=small,resnet18", CategoricalDistribution(["small", "resnet18"])),
        ("a=[24,40],[48,84]", CategoricalDistribution(["[24,40]", "[48,84]"])),
        ("a=null,true,'x y'", CategoricalDistribution(["null", "True", "'x y'"])),
    ],
)
def test_what_is_drawn_from(word, expected):
    assert distribution(OverridesParser.create().parse_override(word)) == expected


def test_an_interval_that_cannot_be_drawn_from_is_refused():
    with pytest.raises(InputError, match=r"a=tag\(log, ?interval\(0,1\)\): "):
        distribution(OverridesParser.create().parse_override("a=tag(log,interval(0,1))"))


def test_trials_are_runs_and_come_near_the_best(sweep, place, tmp_path):
    place(by_rate)
    launcher, words = sweep(*WORDS, "sweep.trials=12", "sweep.prune=false")
    found = run_study(launcher, words)
    assert len(found) == 12
    assert max(found) > 0.85
    study = study_of(launcher)
    for trial in study.trials:
        config = Run.open(tmp_path / "sweep" / str(trial.number)).config()
        assert config.optimizer.lr == trial.params["optimizer.lr"]
        assert trial.value == by_rate(config)
        assert list(trial.intermediate_values) == [0, 1, 2, 3]
    assert [float(row["val/score"]) for row in rows(tmp_path / "sweep")] == sorted(found, reverse=True)


def test_the_same_seed_draws_the_same(sweep, place, tmp_path):
    place(by_rate)
    for name in ("a", "b"):
        launcher, words = sweep(*WORDS, "sweep.trials=5", folder=tmp_path / name)
        run_study(launcher, words)
    a, b = (open_study(tmp_path / name, launcher.config.sweep) for name in ("a", "b"))
    assert drawn(a) == drawn(b)
    assert len({params["optimizer.lr"] for params in drawn(a)}) == 5


@pytest.mark.parametrize("torn", [False, True])
def test_a_killed_study_goes_on_as_if_it_had_not_been(sweep, place, killed, tmp_path, torn):
    folder = tmp_path / "killed"
    words = [*WORDS, "sweep.trials=6", "sweep.prune=false"]
    place(by_rate, dies_in=4)
    with pytest.raises(killed):
        run_study(*sweep(*words, folder=folder))
    if torn:
        with (folder / JOURNAL).open("ab") as file:
            file.write(b'{"op_code": 6, "trial_id')
    assert (folder / "leaderboard.png").is_file()
    there = place(by_rate)
    launcher, typed = sweep(*words, folder=folder)
    found = run_study(launcher, typed)
    assert there.started == ["4", "5"]
    assert list(study_of(launcher).trials[4].intermediate_values) == [0, 1, 2, 3]

    place(by_rate)
    launcher, typed = sweep(*words)
    assert run_study(launcher, typed) == found
    assert drawn(study_of(launcher)) == drawn(open_study(folder, launcher.config.sweep))


def test_a_trial_killed_before_all_was_drawn_gets_the_rest(sweep, place, tmp_path):
    place(by_rate)
    folder = tmp_path / "sweep"
    words = [*WORDS, "sweep.trials=2"]
    run_study(*sweep(*words, folder=folder))
    launcher, typed = sweep(*WORDS, "sweep.trials=3", folder=folder)
    rate = study_of(launcher).ask().suggest_float("optimizer.lr", 1e-4, 1e-1, log=True)
    found = run_study(launcher, typed)
    assert len(found) == 3
    assert Run.open(folder / "2").config().optimizer.lr == rate


def test_a_failed_job_is_recorded_and_passed_over(sweep, place, tmp_path):
    def fails_with_light(config):
        if config.aug.get("image", {}):
            raise JobFailedError("RuntimeError: out of memory", 1)
        return by_rate(config)

    place(fails_with_light)
    launcher, words = sweep(*WORDS, "sweep.trials=6", "sweep.prune=false")
    with pytest.raises(JobFailedError, match=r"\d of 6 jobs failed"):
        run_study(launcher, words)
    trials = study_of(launcher).trials
    assert {t.state for t in trials if t.params["aug"] == "light"} == {TrialState.FAIL}
    assert {t.state for t in trials if t.params["aug"] == "none"} == {TrialState.COMPLETE}
    reasons = {row["reason"] for row in rows(tmp_path / "sweep") if row["status"] == "failed"}
    assert reasons == {"RuntimeError: out of memory"}


def test_what_cannot_be_composed_is_a_failed_trial(sweep, place, tmp_path):
    place(by_rate)
    words = ["sweep=optuna", "sweep.trials=4", "data.fold=range(4,7)", "sweep.prune=false"]
    launcher, typed = sweep(*words)
    with pytest.raises(JobFailedError):
        run_study(launcher, typed)
    states = {trial.params["data.fold"]: trial.state for trial in study_of(launcher).trials}
    assert all((state == TrialState.COMPLETE) == (fold == 4) for fold, state in states.items())
    assert any("data.fold: expected 0 to 4" in row["reason"] for row in rows(tmp_path / "sweep"))


def test_a_run_below_the_median_is_stopped_after_the_warm_up(sweep, place, tmp_path):
    scores = iter([0.8, 0.6, 0.7, 0.5, 0.9, 0.65])
    by_run = {}

    def one_after_another(config):
        return by_run.setdefault(config.optimizer.lr, None) or by_run.update({config.optimizer.lr: next(scores)}) or (
            by_run[config.optimizer.lr]
        )  # fmt: skip

    there = place(one_after_another)
    launcher, words = sweep(*WORDS, "sweep.trials=6", "sweep.warmup=2")
    run_study(launcher, words)
    trials = study_of(launcher).trials
    complete, pruned = TrialState.COMPLETE, TrialState.PRUNED
    assert [t.state for t in trials] == [complete, complete, complete, pruned, complete, pruned]
    assert [t.last_step for t in trials] == [3, 3, 3, 2, 3, 2]  # epochs are counted from 0: the third is the first
    assert {path.rpartition("/")[2] for path in there.stopped} == {"3", "5"}
    found = {row["job"]: (row["status"], row["reason"]) for row in rows(tmp_path / "sweep")}
    assert found["3"] == ("pruned", "worse than the median after epoch 3")


def test_less_is_better_where_it_is_asked_for(sweep, place, tmp_path):
    place(by_rate)
    found = run_study(*sweep(*WORDS, "sweep.trials=4", "sweep.direction=minimize", "sweep.prune=false"))
    assert [float(row["val/score"]) for row in rows(tmp_path / "sweep")] == sorted(found)


def test_the_space_of_the_file_is_taken_where_the_command_line_varies_nothing(sweep, place):
    place(lambda config: 0.5)
    launcher, words = sweep("sweep=optuna", "sweep.trials=1", "optimizer.weight_decay=0.01")
    run_study(launcher, words)
    assert set(study_of(launcher).trials[0].params) == {"optimizer.lr", "model.loss.smoothing", "aug"}


def test_another_sweep_does_not_go_on_with_a_study(sweep, place, tmp_path):
    place(by_rate)
    run_study(*sweep(*WORDS, "sweep.trials=1", folder=tmp_path / "sweep"))
    with pytest.raises(InputError, match="another sweep is in it"):
        run_study(*sweep(*WORDS[:-1], "sweep.trials=2", folder=tmp_path / "sweep"))


def test_a_space_that_was_edited_meanwhile_does_not_go_on(sweep, place, tmp_path):
    place(by_rate)
    run_study(*sweep("sweep=optuna", "sweep.trials=1", folder=tmp_path / "sweep"))
    manifest = tmp_path / "sweep" / "sweep.yaml"
    manifest.write_text(manifest.read_text().replace("cutmix", "other"))
    with pytest.raises(InputError, match="was begun with"):
        run_study(*sweep("sweep=optuna", "sweep.trials=1", folder=tmp_path / "sweep"))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("sweep.trials=0", "sweep.trials: expected an integer of at least 1"),
        ("sweep.prune=maybe", "sweep.prune: expected true or false"),
        ("sweep.space.aug=light", r"sweep.space.aug: expected choice"),
        ("sweep.space.aug='choice(a'", r"sweep.space.aug: cannot be read"),
        ("~sweep.space", "there is nothing to vary"),
    ],
)
def test_a_mistake_is_said_before_anything_is_made(sweep, tmp_path, word, message):
    with pytest.raises(InputError, match=message):
        run_study(*sweep("sweep=optuna", word))
    assert not (tmp_path / "sweep").exists()


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is an Apple GPU")
def test_a_trainer_that_this_machine_lacks_is_refused_once(sweep, tmp_path):
    with pytest.raises(InputError, match="no Apple GPU here"):
        run_study(*sweep(*WORDS, "trainer=mps"))
    assert not (tmp_path / "sweep").exists()


def test_without_optuna_it_says_what_to_install(sweep, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install -e '\.\[optuna\]'"):
        run_study(*sweep("sweep=optuna"))


def test_the_journal_is_optunas_own(sweep, place, tmp_path):
    place(by_rate)
    run_study(*sweep(*WORDS, "sweep.trials=2"))
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "sweep" / JOURNAL))
    study = optuna.load_study(study_name="okkhor", storage=optuna.storages.JournalStorage(backend))
    assert len(study.trials) == 2


def test_a_trial_put_in_by_hand_is_run_and_counted(sweep, place, tmp_path):
    place(by_rate)
    folder = tmp_path / "sweep"
    launcher, words = sweep(*WORDS, "sweep.trials=1", folder=folder)
    run_study(launcher, words)
    study_of(launcher).enqueue_trial({"optimizer.lr": 0.01, "aug": "none"})
    launcher, words = sweep(*WORDS, "sweep.trials=2", folder=folder)
    first, second = run_study(launcher, words)
    assert first < second == pytest.approx(0.9)
