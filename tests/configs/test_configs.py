"""Every configuration on disk composes, and every `_target_` in it can be imported."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_object
from omegaconf import DictConfig, ListConfig, OmegaConf

from okkhor.build import build
from okkhor.training.options import check_options

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FILES = sorted(path.relative_to(CONFIGS) for path in CONFIGS.glob("*/**/*.yaml") if path.parent.name != "local")
CHOICES = [f"{path.parent.as_posix()}={path.stem}" for path in FILES if path.parent.name != "hydra"]


def targets(node):
    if isinstance(node, DictConfig):
        if "_target_" in node:
            yield node["_target_"]
        for value in node.values():
            yield from targets(value)
    elif isinstance(node, ListConfig):
        for value in node:
            yield from targets(value)


@pytest.mark.parametrize("choice", CHOICES)
def test_composes_resolves_passes_its_checks_and_its_targets_import(choice):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", [choice])
    OmegaConf.resolve(config)
    check_options(config)
    found = list(targets(config))
    assert found
    for target in found:
        assert callable(get_object(target))


@pytest.mark.parametrize("path", ["train.yaml", *map(str, FILES)])
def test_opens_with_a_comment_that_says_what_to_type(path):
    lines = (CONFIGS / path).read_text(encoding="utf-8").splitlines()
    first = next(line for line in lines if not line.startswith("# @package"))
    assert first.startswith("# ")
    assert ":" in first or Path(path).parts[0] in ("paths", "hydra", "train.yaml")


def test_every_loss_goes_with_every_recipe_that_sets_its_smoothing():
    losses = [path.stem for path in FILES if path.parts[:2] == ("model", "loss")]
    assert losses == ["class_balanced", "cross_entropy", "focal", "ohem"]
    for loss in losses:
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            config = compose("train", ["experiment=workshop", f"model/loss={loss}", "data.dir=x"])
        assert build(config.model.loss, "model.loss").smoothing == 0.0


def test_groups_are_all_in_the_defaults_list():
    text = (CONFIGS / "train.yaml").read_text(encoding="utf-8")
    assert all(f"{group}:" in text for group in {path.parts[0] for path in FILES})
