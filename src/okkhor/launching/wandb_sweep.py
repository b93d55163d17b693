"""sweep=wandb: the file that `wandb sweep` takes; its agents run the jobs, nothing is trained here.

What the file holds: https://docs.wandb.ai/guides/sweeps/sweep-config-keys
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer
from omegaconf import DictConfig
from rich.console import Console

from okkhor.atomic import write_atomically
from okkhor.errors import InputError
from okkhor.launching.leaderboard import program
from okkhor.launching.sweeping import SweepLauncher
from okkhor.launching.words import DIRECTION, Words, check_sweep, choices, read_words
from okkhor.training.options import BOOLEAN, Check, choice, integer, optional

FILE = "wandb-sweep.yaml"
CHECKS: dict[str, Check] = {
    "direction": DIRECTION,
    "method": choice("random", "bayes", "grid"),
    "trials": optional(integer(1)),
    "prune": BOOLEAN,
    "warmup": integer(1),
}


def write_sweep(launcher: SweepLauncher, typed: list[str]) -> Path:
    """Write wandb-sweep.yaml into the sweep's folder and print the two commands that go on from there.

    Raises InputError for what Weights & Biases cannot vary, and for runs that would not report to it.
    """
    block = launcher.config.sweep
    check_sweep(block, CHECKS)
    words = read_words(launcher.loader, typed, block.get("space"))
    if not words.varied:
        raise InputError("sweep.space: there is nothing to vary; expected an option=choice(…), range(…) or interval(…)")
    if "logger" not in words.parts:
        words.parts["logger"] = "logger=wandb"
    values = {key: first(override) for key, override in words.varied.items()}
    config = launcher.job_config(words.job(values))  # a mistake is said here, not by each agent
    if "wandb" not in (config.logger or {}):
        raise InputError("logger: the agents' runs would report nothing; expected logger=wandb or logger=many")
    text = yaml.safe_dump(sweep_file(words, config, block), sort_keys=False, allow_unicode=True, width=120)
    path = launcher.claim() / FILE
    write_atomically(path, text)

    named = {name: str(value) for name in ("entity", "project") if (value := config.logger.wandb.get(name))}
    start = ["wandb", "sweep", *(word for name, value in named.items() for word in (f"--{name}", value)), str(path)]
    console = Console(highlight=False)
    for line in (
        f"written      {path}",
        f"start it     {shlex.join(start)}",
        f"run its jobs wandb agent {'/'.join(named.values())}/<the id that it printed>",
        "             in the project's folder, on as many machines as there are; both need the network and a login",
    ):
        console.print(line, soft_wrap=True, markup=False)
    return path


def sweep_file(words: Words, config: DictConfig, block: Mapping[str, Any]) -> dict[str, Any]:
    """What wandb-sweep.yaml holds. config: of one job; block: the `sweep` group."""
    found: dict[str, Any] = {
        "program": program(),
        "name": str(config.name),
        "method": block["method"],
        "metric": {"name": config.objective, "goal": block["direction"]},
        "parameters": {key: parameter(override, block["method"]) for key, override in words.varied.items()},
        "command": ["${env}", "${interpreter}", "${program}", *words.fixed, "${args_no_hyphens}"],
    }
    if block["prune"]:
        found["early_terminate"] = {"type": "hyperband", "min_iter": block["warmup"]}
    if block["trials"]:
        found["run_cap"] = block["trials"]
    return found


def parameter(override: Override, method: str) -> dict[str, Any]:
    """One entry of `parameters`, for Hydra's choice, range or interval."""
    value = override.value()
    log = isinstance(value, RangeSweep | IntervalSweep) and "log" in value.tags
    if isinstance(value, IntervalSweep):
        whole = isinstance(value.start, int)
        if method == "grid" or (whole and log):
            why = "a grid takes no interval" if method == "grid" else "whole numbers are not drawn by their logarithm"
            raise InputError(f"{override.input_line}: {why} at Weights & Biases; expected choice(…) or range(…)")
        kind = "int_uniform" if whole else "log_uniform_values" if log else "uniform"
        return {"distribution": kind, "min": value.start, "max": value.end}
    choices(override)  # says what is wrong with an empty one
    return {"values": list(override.sweep_iterator(Transformer.encode))}


def first(override: Override) -> str:
    """One of the values, as it is typed."""
    value = override.value()
    return repr(value.start) if isinstance(value, IntervalSweep) else choices(override)[0]
