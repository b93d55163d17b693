import csv

import pytest

from okkhor.errors import InputError
from okkhor.heads import Head, Heads
from okkhor.reports.comparison.reading import read_runs


def test_runs_are_called_by_name_and_by_what_they_differ_in(make_run):
    light = make_run("light/2026-11-28_10-00-00", words="name=light aug=light trainer.max_epochs=7")
    cutmix = make_run("cutmix/2026-11-28_10-20-00", words="name=cutmix aug=cutmix trainer.max_epochs=7")
    runs, left_out = read_runs([light, cutmix, light])
    assert [(run.name, run.differs) for run in runs] == [("light", "aug=light"), ("cutmix", "aug=cutmix")]
    assert left_out == []
    assert runs[0].trained == 400
    assert runs[0].images_per_second == pytest.approx(4)
    assert runs[0].parameters == 512_000


def test_runs_of_one_name_are_told_apart_by_their_times(make_run):
    paths = [make_run(f"default/2026-11-28_10-0{k}-00") for k in range(2)]
    assert [run.name for run in read_runs(paths)[0]] == ["default/2026-11-28_10-00-00", "default/2026-11-28_10-01-00"]


def test_a_sweep_is_its_finished_jobs_with_the_words_of_each(make_run):
    for number in (0, 1, 2, 10):
        job = make_run(f"default/sweep/{number}", words="-m seed=1,2,3,4", finished=number != 2)
    sweep = job.parent
    with (sweep / "leaderboard.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["rank", "job", "command"])
        rows.writerows([k, number, f"python train.py seed={number}"] for k, number in enumerate((0, 1, 2, 10)))
    runs, left_out = read_runs([sweep])
    assert [(run.name, run.differs) for run in runs] == [
        ("job 0", "seed=0"),
        ("job 1", "seed=1"),
        ("job 10", "seed=10"),
    ]
    assert left_out == [f"left out: {sweep / '2'} has not finished"]


def test_what_cannot_be_compared_is_refused_with_what_to_do(make_run, tmp_path):
    good = make_run("good/a")
    cases = {
        "no predictions.parquet": (make_run("old/a", None), r"evaluate\.py .*/old/a --report` writes it"),
        "not finished": (
            make_run("cut/a", finished=False),
            "1 finished run; expected two at least, or a sweep of such; left out: .*/cut/a has not",
        ),
        "pretraining": (make_run("ssl/a", pretrain={"method": "x"}), "a pretraining has no trained heads"),
        "nothing": (tmp_path / "nowhere", "no such run directory"),
        "empty": (tmp_path / "runs" / "good" / "a" / "logs", "no run in it"),
        "alone": (good, "1 finished run; expected two at least"),
    }
    for path, said in cases.values():
        with pytest.raises(InputError, match=said):
            read_runs([good, path])


def test_pairs_are_runs_with_the_same_images_in_any_order_and_the_same_labels(make_run):
    a = make_run("a/x", seed=1)
    b = make_run("b/x", seed=2)
    c = make_run("c/x", images=7)
    d = make_run("d/x", heads=Heads([Head("root", "root", 12, 1.0), Head("vowel", "vowel", 4)]))
    runs, _ = read_runs([a, b, c, d])
    assert runs[0].shares_images_with(runs[1])
    assert not runs[0].shares_images_with(runs[2])
    assert not runs[0].shares_images_with(runs[3])
