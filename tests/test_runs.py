import json
import threading

import pytest
import yaml
from omegaconf import OmegaConf

from okkhor.errors import InputError
from okkhor.runs import Run, portable


def test_runs_started_together_get_folders_of_their_own(tmp_path):
    made = []
    threads = [threading.Thread(target=lambda: made.append(Run.create(tmp_path, "same").path)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 20
    assert all((path / "checkpoints").is_dir() for path in made)


def test_jobs_of_a_sweep_lie_in_its_folder(tmp_path):
    sweep = tmp_path / "name" / "sweep"
    assert Run.create(tmp_path, "name", "0", sweep).path == sweep / "0"
    assert Run.create(tmp_path, "name", "0", sweep).path == sweep / "0-2"


def test_config_keeps_machine_paths_as_references_and_resolves_the_rest(tmp_path, monkeypatch):
    config = OmegaConf.create(
        {
            "paths": {"root": "/here", "data": "${paths.root}/data"},
            "data": {"dir": "${paths.data}/x", "store": "relative/store", "fold": "${seed}"},
            "optimizer": {"lr": 0.1},
            "scheduler": {"max_lr": "${optimizer.lr}"},
            "seed": 3,
            "list": ["${seed}", "${paths.root}/a"],
        }
    )
    monkeypatch.chdir(tmp_path)
    run = Run.create(tmp_path, "x")
    run.write_config(config)
    raw = OmegaConf.to_container(run.config(), resolve=False)
    assert raw["data"] == {"dir": "${paths.data}/x", "store": str(tmp_path / "relative/store"), "fold": 3}
    assert raw["paths"]["data"] == "${paths.root}/data"
    assert raw["scheduler"]["max_lr"] == 0.1
    assert raw["list"] == [3, "${paths.root}/a"]
    moved = run.config()
    moved.paths.root = "/elsewhere"
    assert moved.data.dir == "/elsewhere/data/x"


def test_remote_data_stays_as_typed():
    config = OmegaConf.create({"data": {"dir": "s3://bucket/folder"}})
    assert portable(config).data.dir == "s3://bucket/folder"


@pytest.mark.parametrize("make", ["nothing", "file", "empty"])
def test_what_is_no_run_is_refused_in_one_line(tmp_path, make):
    path = tmp_path / "run"
    if make == "file":
        path.write_text("x")
    elif make == "empty":
        path.mkdir()
    with pytest.raises(InputError, match="run") as error:
        Run.open(path)
    assert "\n" not in str(error.value)


def test_damaged_config_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("a: [1, 2\nb: }")
    with pytest.raises(InputError, match=r"config\.yaml"):
        Run.open(tmp_path).config()


def test_unfinished_run_has_neither_metrics_nor_checkpoint(tmp_path):
    run = Run.create(tmp_path, "x")
    run.write_config(OmegaConf.create({"data": {}}))
    with pytest.raises(InputError, match="has not finished"):
        run.metrics()
    with pytest.raises(InputError, match="no checkpoint"):
        run.checkpoint()
    run.write_metrics({"objective": 0.5})
    assert json.loads((run.path / "metrics.json").read_text()) == {"objective": 0.5}


def test_newest_run_is_the_one_started_last(tmp_path):
    with pytest.raises(InputError, match="no run"):
        Run.newest(tmp_path)
    for name in ("a", "b"):
        Run.create(tmp_path, name).write_config(OmegaConf.create({"data": {}}))
    assert Run.newest(tmp_path).path.parent.name == "b"
    with pytest.raises(InputError, match="no trained run"):
        Run.newest(tmp_path, trained=True)
    Run(next((tmp_path / "a").iterdir())).best.write_bytes(b"x")
    assert Run.newest(tmp_path, trained=True).path.parent.name == "a"


def test_refused_run_leaves_no_folder_but_a_trained_one_stays(tmp_path):
    run = Run.create(tmp_path, "x")
    with pytest.raises(InputError), run.discarded_if_refused():
        raise InputError("no")
    assert not run.path.exists()
    trained = Run.create(tmp_path, "x")
    trained.last.write_bytes(b"x")
    with pytest.raises(InputError), trained.discarded_if_refused():
        raise InputError("no")
    assert trained.last.exists()


def test_provenance_says_command_commit_packages_and_data(tmp_path):
    run = Run.create(tmp_path, "x")
    run.write_provenance({"identity": "abc"})
    run.write_provenance({"identity": "that of a resumed run"})
    record = OmegaConf.create(yaml.safe_load((run.path / "provenance.yaml").read_text()))
    assert record.data.identity == "abc"
    assert record.packages.torch
    assert record.command
