"""From a command line to a run, and what may stand beside `resume=`."""

import pytest
import yaml
from omegaconf import OmegaConf

from okkhor.errors import InputError
from okkhor.launching.opening import open_run, passed_on, processes, resumed_sweep


def sweep_folder(path, overrides):
    path.mkdir()
    (path / "sweep.yaml").write_text(yaml.safe_dump({"overrides": overrides}), encoding="utf-8")
    return path


def test_a_new_command_line_makes_a_run_and_resume_takes_it_up(compose, tmp_path):
    run, _ = open_run(compose(), [])
    again, config = open_run(compose(f"resume={run.path}"), [f"resume={run.path}"])
    assert again == run
    assert config.trainer.max_epochs == 2


def test_the_launcher_of_a_resumed_run_is_the_command_lines(compose):
    run, _ = open_run(compose("launcher.n_jobs=3"), [])
    _, config = open_run(compose(f"resume={run.path}"), [f"resume={run.path}"])
    assert config.launcher.n_jobs == 1
    words = [f"resume={run.path}", "launcher=local", "launcher.n_jobs=2"]
    _, config = open_run(compose(*words), words)
    assert config.launcher.n_jobs == 2


def test_where_things_lie_may_change_on_resume_and_is_passed_on(compose):
    run, _ = open_run(compose(), [])
    words = [f"resume={run.path}", "data.dir=/elsewhere", "paths.cache=/cache"]
    _, config = open_run(compose(*words), words)
    assert (config.data.dir, config.paths.cache) == ("/elsewhere", "/cache")
    assert passed_on(words) == ["data.dir=/elsewhere", "paths.cache=/cache"]


def test_a_place_is_read_as_hydra_reads_it(compose):
    run, _ = open_run(compose(), [])
    words = [f"resume={run.path}", "data.dir='/a=b, c'", "data.store=null"]
    _, config = open_run(compose(*words), words)
    assert (config.data.dir, config.data.store) == ("/a=b, c", None)


def test_what_a_run_is_may_not_change_on_resume(compose):
    run, _ = open_run(compose(), [])
    with pytest.raises(InputError, match=r"optimizer\.lr: cannot be changed together with resume="):
        open_run(compose(f"resume={run.path}"), [f"resume={run.path}", "optimizer.lr=1"])


def test_a_sweep_goes_on_with_the_words_it_was_started_with(tmp_path):
    folder = sweep_folder(tmp_path / "it's a sweep", ["model=small,resnet18", "launcher.n_jobs=2"])
    words = resumed_sweep([f"resume={folder}"])
    quoted = str(folder).replace("'", "\\'")
    assert words == ["-m", "model=small,resnet18", "launcher.n_jobs=2", f"hydra.sweep.dir='{quoted}'"]


def test_only_the_place_of_a_resumed_sweep_may_change(tmp_path):
    folder = sweep_folder(tmp_path / "sweep", ["seed=1,2", "launcher=slurm"])
    assert resumed_sweep([f"resume={folder}", "launcher=local"])[1:3] == ["seed=1,2", "launcher=local"]
    with pytest.raises(InputError, match="seed: cannot be changed together with resume="):
        resumed_sweep([f"resume={folder}", "seed=3"])


def test_a_sweep_that_moves_leaves_the_options_of_its_old_place_behind(tmp_path):
    folder = sweep_folder(tmp_path / "sweep", ["launcher=slurm", "launcher.minutes=9", "seed=1,2"])
    words = resumed_sweep([f"resume={folder}", "launcher=local", "launcher.n_jobs=2"])
    assert words[1:-1] == ["seed=1,2", "launcher=local", "launcher.n_jobs=2"]


def test_a_resumed_study_may_be_given_more_trials(tmp_path):
    folder = sweep_folder(tmp_path / "sweep", ["sweep=optuna", "sweep.trials=20"])
    assert resumed_sweep([f"resume={folder}", "sweep.trials=30"])[1:3] == ["sweep=optuna", "sweep.trials=30"]


def test_hydra_reads_the_folder_back_as_it_is(tmp_path):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    folder = sweep_folder(tmp_path / "a 'b', c=d", [])
    override = OverridesParser.create().parse_override(resumed_sweep([f"resume={folder}"])[-1])
    assert override.value() == str(folder)


@pytest.mark.parametrize("words", [[], ["model=small"], ["resume=/nowhere"], ["resume=a", "resume=b"]])
def test_other_command_lines_are_left_alone(words):
    assert resumed_sweep(words) is None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"devices": 1, "strategy": "auto"}, 1),
        ({"devices": 3, "strategy": "ddp", "accelerator": "gpu"}, 3),
        ({"devices": [0, 2], "strategy": "ddp", "accelerator": "gpu"}, 2),
        ({"devices": "auto", "strategy": "ddp", "accelerator": "cpu"}, 1),
        ({"devices": 2, "strategy": "auto", "accelerator": "cpu"}, 2),
    ],
)
def test_a_process_for_each_device(options, expected):
    assert processes(OmegaConf.create({"trainer": options})) == expected
