"""The file for `wandb sweep`. What its agents make of it is computed by wandb's own code, without its network."""

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from okkhor.errors import InputError
from okkhor.launching.wandb_sweep import parameter, write_sweep


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("a=interval(0,1)", {"distribution": "uniform", "min": 0.0, "max": 1.0}),
        ("a=tag(log,interval(1e-4,1e-1))", {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-1}),
        ("a=int(interval(1,5))", {"distribution": "int_uniform", "min": 1, "max": 5}),
        ("a=range(1,6,2)", {"values": [1, 3, 5]}),
        ("a=small,'x y',[1,2],null,true", {"values": ["small", "'x y'", "[1,2]", "null", True]}),
    ],
)
def test_parameters(word, expected):
    assert parameter(OverridesParser.create().parse_override(word), "random") == expected


def test_an_agent_types_a_command_that_hydra_reads_as_meant(sweep, capsys):
    words = ["model=small,resnet18", "data.size=[24,40],[48,84]", "optimizer.lr=interval(1e-3,1e-2)", "seed=3"]
    launcher, typed = sweep("sweep=wandb", "logger.wandb.entity=team", "logger=wandb", *words)
    path = write_sweep(launcher, typed)
    found = yaml.safe_load(path.read_text())
    assert found["metric"] == {"name": "val/score", "goal": "maximize"}
    assert found["run_cap"] == 20
    drawn = {"model": "resnet18", "data.size": "[48,84]", "optimizer.lr": 0.0025}
    assert set(drawn) == set(found["parameters"])
    made = create_sweep_command_args({"args": {key: {"value": value} for key, value in drawn.items()}})
    command = []
    for part in create_sweep_command(found["command"]):
        command += made["args_no_hyphens"] if part == "${args_no_hyphens}" else [part]
    assert command[:3] == ["${env}", "${interpreter}", "${program}"]
    config = launcher.job_config(command[3:])
    assert (config.model.backbone, list(config.data.size), config.optimizer.lr) == (
        "torchvision/resnet18", [48, 84], 0.0025,
    )  # fmt: skip
    assert (config.seed, config.logger.wandb.entity) == (3, "team")
    said = capsys.readouterr().out
    assert f"wandb sweep --entity team --project okkhor {path}" in said
    assert "wandb agent team/okkhor/" in said


def test_nothing_is_trained_and_the_logger_is_added(sweep, place):
    there = place(lambda config: 0.5)
    path = write_sweep(*sweep("sweep=wandb", "sweep.prune=true"))
    assert there.started == []
    found = yaml.safe_load(path.read_text())
    assert "logger=wandb" in found["command"]
    assert found["early_terminate"] == {"type": "hyperband", "min_iter": 2}
    assert set(found["parameters"]) == {"optimizer.lr", "optimizer.weight_decay", "aug"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["logger=csv"], "logger: the agents' runs would report nothing"),
        (["sweep.method=tpe"], "sweep.method: expected one of random, bayes, grid"),
        (["sweep.method=grid"], "a grid takes no interval"),
        (["seed=tag(log,int(interval(1,9)))"], "whole numbers are not drawn by their logarithm"),
        (["seed=-1,2"], "seed: expected"),
    ],
)
def test_a_mistake_is_said_before_anything_is_made(sweep, tmp_path, words, message):
    with pytest.raises(InputError, match=message):
        write_sweep(*sweep("sweep=wandb", *words))
    assert not (tmp_path / "sweep").exists()
