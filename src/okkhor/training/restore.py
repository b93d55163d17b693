"""A trained run brought back: its configuration, its data or other data, its network with the best weights."""

from collections.abc import Sequence
from typing import Any

import yaml
from omegaconf import DictConfig

from okkhor.data.module import ImageData
from okkhor.errors import InputError
from okkhor.models.module import ClassifierModule
from okkhor.runs import Run
from okkhor.training.build import build_data, build_module
from okkhor.training.fit import load_weights
from okkhor.training.pretraining import refuse_pretraining

CHANGEABLE = ("data.dir", "data.store", "data.batch_size", "data.workers", "data.cache_dir", "model.tta")


def restored_config(run: Run, overrides: Sequence[str]) -> DictConfig:
    """The run's configuration with what a reader may change: where data lies and how it is read, `paths.*`, views.

    Files that are given for a run trained on rendered images are read as the competition's files, not rendered.
    Raises InputError for any other option, and for a pretraining, which has no trained heads.
    """
    config = run.config()
    refuse_pretraining(run, config)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not (key in CHANGEABLE or key.startswith("paths.")):
            raise InputError(f"{override}: expected one of {', '.join(CHANGEABLE)} or paths.*, as data.dir=DIR")
        group, _, name = key.partition(".")
        try:
            value: Any = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise InputError(f"{override}: cannot be read; expected a value as in the run's config.yaml") from error
        config[group][name] = value
        if key == "data.dir":
            config.data.store = None
            if config.data.source == "synthetic":
                config.data.source = "competition"
    config.aug.image, config.aug.batch = [], None  # nothing is augmented where nothing is trained
    config.model.pretrained = False  # the run's own weights come instead
    return config


def run_data(run: Run) -> ImageData:
    """The data that a run was trained on."""
    return build_data(restored_config(run, ()))


def restore(run: Run, overrides: Sequence[str] = ()) -> tuple[DictConfig, ImageData, ClassifierModule]:
    """Configuration, data and network of a run, weights of the best checkpoint loaded."""
    config = restored_config(run, overrides)
    data = build_data(config)
    module = build_module(config, data.heads)
    load_weights(module, run)
    return config, data, module.eval()
