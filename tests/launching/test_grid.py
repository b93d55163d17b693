"""Every combination, once, in Hydra's order; a failed one is passed over, a killed sweep goes on."""

import csv

import pytest
import torch
import yaml
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from okkhor.errors import InputError, JobFailedError
from okkhor.launching.grid import combinations, run_grid
from okkhor.launching.words import read_words
from okkhor.runs import Run


def rows(folder):
    with (folder / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def by_seed(config):
    if config.seed == 13:
        raise JobFailedError("out of luck", 1)
    return config.seed / 100


@pytest.mark.parametrize(
    "words",
    [
        ["seed=1,2", "model=small,resnet18", "name=a"],
        ["seed=range(1,7,2)", "optimizer.lr=choice(1e-3,0.01)"],
        ["aug=glob(*,exclude=n*)", "+trainer.limit_train_batches=1,0.5"],
        ["name='a b',\"c,d\"", "data.size=[24,40],[48,84]", "objective=null,val/loss", "optimizer={lr:1},{lr:2}"],
        ["seed=1,2", "seed=3", "optimizer.lr=range(0.1,0.4,0.1)"],
        ["seed=4"],
        ["data.dir='x=1,2'", "model@other=a,b"],
    ],
)
def test_jobs_are_those_of_hydras_own_sweeper(sweep, words):
    launcher, _ = sweep()
    asked = read_words(launcher.loader, words)
    overrides = OverridesParser.create(config_loader=launcher.loader).parse_overrides(words)
    (expected,) = BasicSweeper.split_arguments(overrides, None)
    assert [asked.job(values) for values in combinations(asked)] == expected


def test_each_combination_is_a_run_with_its_own_options(sweep, place, tmp_path):
    there = place(by_seed)
    launcher, words = sweep("seed=1,2", "aug=none,light")
    assert run_grid(launcher, words) == [0.01, 0.01, 0.02, 0.02]
    assert there.started == ["0", "1", "2", "3"]
    configs = [Run.open(tmp_path / "sweep" / str(n)).config() for n in range(4)]
    assert [config.seed for config in configs] == [1, 1, 2, 2]
    assert all("sweep" not in config and "hydra" not in config for config in configs)


def test_a_failed_job_is_passed_over_and_told_of_at_the_end(sweep, place, tmp_path, capsys):
    place(by_seed)
    with pytest.raises(JobFailedError, match="1 of 3 jobs failed"):
        run_grid(*sweep("seed=1,13,2"))
    assert [(row["job"], row["status"], row["reason"]) for row in rows(tmp_path / "sweep")] == [
        ("2", "done", ""),
        ("0", "done", ""),
        ("1", "failed", "out of luck"),
    ]
    assert "job 1 failed: out of luck" in capsys.readouterr().out


def test_a_killed_sweep_goes_on_and_runs_nothing_twice(sweep, place, killed, tmp_path):
    place(by_seed, dies_in=2)
    folder = tmp_path / "sweep"
    words = ["seed=shuffle(1,2,3,4)", "name=x"]
    with pytest.raises(killed):
        run_grid(*sweep(*words, folder=folder))
    assert {row["job"] for row in rows(folder)} == {"0", "1"}
    before = [job["seed"] for job in yaml.safe_load((folder / "sweep.yaml").read_text())["jobs"]]
    there = place(by_seed)
    found = run_grid(*sweep(*words, folder=folder))
    assert there.started == ["2", "3"]
    assert found == [int(seed) / 100 for seed in before]  # in the order that was shuffled once
    assert [row["rank"] for row in rows(folder)] == ["1", "2", "3", "4"]
    assert {float(row["seconds"]) for row in rows(folder)} > {2.5}


def test_what_failed_is_tried_again_when_the_sweep_goes_on(sweep, place, tmp_path):
    place(by_seed)
    with pytest.raises(JobFailedError):
        run_grid(*sweep("seed=1,13", folder=tmp_path / "sweep"))
    there = place(lambda config: config.seed / 100)
    assert run_grid(*sweep("seed=1,13", folder=tmp_path / "sweep")) == [0.01, 0.13]
    assert there.started == ["1"]


def test_a_folder_that_is_taken_is_not_shared(sweep, place, tmp_path):
    place(by_seed)
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "mine.txt").write_text("x")
    run_grid(*sweep("seed=1,2"))
    assert sorted(path.name for path in (tmp_path / "sweep").iterdir()) == ["mine.txt"]
    assert (tmp_path / "sweep-2" / "leaderboard.csv").is_file()


def test_a_place_that_is_not_to_be_had_leaves_no_folder(sweep, place, tmp_path, monkeypatch):
    def refuse(run):
        raise InputError("launcher.address=there: no cluster")

    there = place(by_seed)
    monkeypatch.setattr(there, "submit", refuse)
    with pytest.raises(InputError, match="no cluster"):
        run_grid(*sweep("seed=1,2"))
    assert not (tmp_path / "sweep").exists()


def test_a_place_that_is_lost_on_the_way_leaves_what_was_trained(sweep, place, tmp_path, monkeypatch):
    there = place(by_seed)
    submit = there.submit

    def lose(run):
        if run.path.name == "1":
            raise InputError("launcher.address=there: no cluster")
        return submit(run)

    monkeypatch.setattr(there, "submit", lose)
    with pytest.raises(InputError, match="no cluster"):
        run_grid(*sweep("seed=1,2", folder=tmp_path / "sweep"))
    assert rows(tmp_path / "sweep")[0]["job"] == "0"
    place(by_seed)
    assert run_grid(*sweep("seed=1,2", folder=tmp_path / "sweep")) == [0.01, 0.02]


def test_two_processes_do_not_run_one_sweep(sweep, place, tmp_path):
    seen = []

    def meanwhile(config):
        if not seen:
            seen.append(config)
            with pytest.raises(InputError, match="another process runs this sweep"):
                run_grid(*sweep("seed=1,2", folder=tmp_path / "sweep"))
        return 0.5

    place(meanwhile)
    run_grid(*sweep("seed=1,2", folder=tmp_path / "sweep"))
    assert seen


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=1,-2"], r"seed: expected .* \(in the job seed=-2\)"),
        (["optimizer.lr=interval(0,1)"], "interval has no end of values; expected choice"),
        (["seed=range(3,3)"], "there is no value in it"),
        (["seed=1,2", "sweep.direction=up"], "sweep.direction: expected one of maximize, minimize"),
    ],
)
def test_a_mistake_is_said_before_anything_is_made(sweep, place, tmp_path, words, message):
    place(by_seed)
    with pytest.raises(InputError, match=message):
        run_grid(*sweep(*words))
    assert not (tmp_path / "sweep").exists()


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is an Apple GPU")
def test_a_trainer_that_this_machine_lacks_is_refused_where_the_jobs_run_on_it(sweep, place, tmp_path):
    words = ["trainer=cpu,mps", "seed=1,2"]
    with pytest.raises(InputError, match=r"no Apple GPU here.* \(in the job trainer=mps seed=1\)"):
        run_grid(*sweep(*words))
    assert not (tmp_path / "sweep").exists()
    there = place(by_seed)  # another machine may have one
    run_grid(*sweep(*words))
    assert there.started == ["0", "1", "2", "3"]


def test_a_half_made_job_is_made_again(sweep, place, tmp_path, killed):
    place(by_seed, dies_in=0)
    folder = tmp_path / "sweep"
    with pytest.raises(killed):
        run_grid(*sweep("seed=1,2", folder=folder))
    (folder / "1" / "logs").mkdir(parents=True)  # the process was killed before it wrote config.yaml
    place(by_seed)
    assert run_grid(*sweep("seed=1,2", folder=folder)) == [0.01, 0.02]
    assert OmegaConf.load(folder / "1" / "config.yaml").seed == 2
