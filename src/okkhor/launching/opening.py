"""From a command line to a run: a new one, an old one to go on with, the processes it takes."""

from collections.abc import Sequence
from pathlib import Path

import yaml
from omegaconf import DictConfig, OmegaConf

from okkhor.errors import InputError
from okkhor.launching.agreement import agreed_run, is_rank
from okkhor.runs import Run

MANIFEST = "sweep.yaml"  # in a sweep's folder: the words it was started with


def open_run(config: DictConfig, overrides: Sequence[str]) -> tuple[Run, DictConfig]:
    """The run that a command line means: a new one, or with `resume=` an old one with its own configuration.

    overrides: the command line. With `resume=` only what says where may stand beside it (`paths.*`, `data.dir`,
    `data.store`, `launcher`), anything else raises InputError; the launcher is always the command line's, since
    where a run is computed is no part of what it is.
    """
    if config.resume is None:

        def make() -> Run:
            run = Run.create(config.paths.runs, config.name)
            run.write_config(config)
            return run

        return agreed_run(make) if is_rank() else make(), config
    run = Run.open(config.resume)
    kept = run.config()
    for override in overrides:
        key = override.lstrip("+").partition("=")[0]
        if key == "resume" or _says_where_it_runs(key):
            continue
        if not _says_where_it_lies(key):
            raise InputError(
                f"{key}: cannot be changed together with resume=, a run goes on with its own options; "
                f"expected resume={config.resume} alone, or a new run with {override}"
            )
        group, _, name = key.partition(".")
        kept[group][name] = OmegaConf.to_container(config[group], resolve=False)[name]
    kept.launcher = config.launcher
    return run, kept


def passed_on(overrides: Sequence[str]) -> list[str]:
    """What a command line with `resume=` hands to the processes that it starts: where things lie."""
    return [word for word in overrides if _says_where_it_lies(word.lstrip("+").partition("=")[0])]


def _says_where_it_lies(key: str) -> bool:
    return key.startswith("paths.") or key in ("data.dir", "data.store", "data.synthetic_dir")


def _says_where_it_runs(key: str) -> bool:
    return key == "launcher" or key.startswith("launcher.")


def processes(config: DictConfig) -> int:
    """Processes that this machine should start for a run: one for each device of a distributed strategy."""
    devices, accelerator = config.trainer.get("devices", 1), config.trainer.get("accelerator", "auto")
    if config.trainer.get("strategy", "auto") == "auto" and config.trainer.get("num_nodes", 1) == 1 and devices == 1:
        return 1
    if isinstance(devices, int):
        return devices
    if devices == "auto":
        import torch

        return 1 if accelerator == "cpu" else max(1, torch.cuda.device_count())
    return len(devices)


def resumed_sweep(words: Sequence[str]) -> list[str] | None:
    """The words that go on with a sweep, for `resume=<sweep folder>`; None for any other command line.

    words: a command line without the program's name. Raises InputError for an option beside it; only where the
    jobs run (`launcher`) and how many trials there shall be (`sweep.trials`) may change.
    """
    found = [word.partition("=")[2] for word in words if word.lstrip("+").startswith("resume=")]
    if len(found) != 1 or not (manifest := Path(found[0]).expanduser() / MANIFEST).is_file():
        return None
    others = [w for w in words if not w.lstrip("+").startswith("resume=") and w not in ("-m", "--multirun")]
    keys = {word.lstrip("+").partition("=")[0] for word in others}
    for key in keys:
        if not _says_where_it_runs(key) and key != "sweep.trials":
            raise InputError(f"{key}: cannot be changed together with resume=, a sweep goes on with its own options")
    kept = yaml.safe_load(manifest.read_text(encoding="utf-8"))["overrides"]
    moved = "launcher" in keys  # to another place, whose options are others
    kept = [
        word
        for word in kept
        if (key := word.lstrip("+").partition("=")[0]) not in keys and not (moved and key.startswith("launcher."))
    ]
    folder = str(manifest.parent.resolve()).replace("\\", "\\\\").replace("'", "\\'")
    return ["-m", *kept, *others, f"hydra.sweep.dir='{folder}'"]


def refuse_single_sweep(sweeper: str) -> None:
    """A sweep that is asked for without `-m` would be a single run, silently; raises InputError for it.

    sweeper: Hydra's choice for `hydra/sweeper`, as okkhor_optuna.
    """
    kind = sweeper.removeprefix("okkhor_")
    if kind in ("optuna", "wandb"):
        raise InputError(f"sweep={kind}: a sweep takes -m; expected python train.py -m sweep={kind} …")
