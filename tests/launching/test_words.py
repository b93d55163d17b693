"""A group inside a group is chosen as an option is set."""

import pytest

from okkhor.launching.grid import combinations
from okkhor.launching.words import as_group, read_words


@pytest.mark.parametrize(
    ("word", "spelled"),
    [
        ("model.loss=focal", "model/loss=focal"),
        ("model.loss=focal,ohem", "model/loss=focal,ohem"),
        ("model.loss=choice(focal,ohem)", "model/loss=choice(focal,ohem)"),
        ("model.loss='focal'", "model/loss='focal'"),
        ("model/loss=focal", "model/loss=focal"),
        ("model.loss.gamma=2", "model.loss.gamma=2"),
        ("model.loss={smoothing:0.1}", "model.loss={smoothing:0.1}"),
        ("model.loss=null", "model.loss=null"),
        ("model.loss=", "model.loss="),
        ("model=small", "model=small"),
        ("name=model.loss=focal", "name=model.loss=focal"),
        ("-m", "-m"),
    ],
)
def test_only_a_choice_of_the_group_is_spelled_anew(word, spelled):
    assert as_group(word) == spelled


@pytest.mark.parametrize("typed", ["model.loss=focal,ohem", "model/loss=focal,ohem"])
def test_a_sweep_varies_it_and_its_options(sweep, typed):
    launcher, _ = sweep()
    words = read_words(launcher.loader, [typed, "model.loss.smoothing=0.1", "seed=1"])
    jobs = [launcher.job_config(words.job(values)) for values in combinations(words)]
    assert [job.model.loss["_target_"].rpartition(".")[2] for job in jobs] == ["Focal", "OHEM"]
    assert [job.model.loss.smoothing for job in jobs] == [0.1, 0.1]


def test_the_space_of_a_file_may_hold_it(sweep):
    launcher, _ = sweep()
    words = read_words(launcher.loader, [], {"model.loss": "choice(focal,ohem)"})
    assert list(words.varied) == ["model/loss"]
