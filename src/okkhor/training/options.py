"""What options may hold, checked before any data is read; and Hydra's own complaints put into one line."""

import difflib
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

from hydra.errors import OverrideParseException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from okkhor.errors import InputError
from okkhor.models.view_list import VIEW, is_view
from okkhor.serving.runtimes import FORMATS

Check = tuple[Callable[[Any], bool], str]  # what holds, and how it is said


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def integer(least: int) -> Check:
    return lambda v: _is_int(v) and v >= least, f"an integer of at least {least}"


def number(least: float, below: float = float("inf")) -> Check:
    expected = (
        f"a number from {least:g} to below {below:g}" if below < float("inf") else f"a number of at least {least:g}"
    )
    return lambda v: _is_number(v) and least <= v < below, expected


def choice(*words: str) -> Check:
    return lambda v: v in words, f"one of {', '.join(words)}"


def optional(check: Check) -> Check:
    return lambda v: v is None or check[0](v), f"{check[1]}, or null"


def integer_or_auto(least: int) -> Check:
    return lambda v: v == "auto" or (_is_int(v) and v >= least), f"an integer of at least {least}, or auto"


BOOLEAN: Check = (lambda v: isinstance(v, bool), "true or false")
POSITIVE: Check = (lambda v: _is_number(v) and v > 0, "a number above 0")
SHARE: Check = (lambda v: _is_number(v) and 0 < v <= 1, "a share above 0, at most 1")
FOLDER_NAME: Check = (
    lambda v: isinstance(v, str | int) and re.fullmatch(r"[\w.,=+-]+(/[\w.,=+-]+)*", str(v)) is not None,
    "a folder name of letters, digits and . , = + - _",
)
DEVICES: Check = (
    lambda v: v == "auto" or (_is_int(v) and v >= 1) or (isinstance(v, ListConfig) and all(map(_is_int, v))),
    "a number of devices, a list of their indices, or auto",
)
TWO_SIZES: Check = (
    lambda v: isinstance(v, ListConfig) and len(v) == 2 and all(_is_int(x) and x >= 8 for x in v),
    "[height,width] of at least 8 pixels each",
)
STAGES: Check = (
    lambda v: isinstance(v, DictConfig) and all(_is_int(k) and k >= 1 and TWO_SIZES[0](v[k]) for k in v),
    "{epoch: [height,width], …}, the size of training images until that epoch",
)
VIEWS: Check = (
    lambda v: isinstance(v, ListConfig) and all(isinstance(x, ListConfig) and is_view(list(x)) for x in v),
    f"a list of {VIEW}",
)
EXPORTS: Check = (
    lambda v: v in FORMATS or (isinstance(v, ListConfig) and len(v) > 0 and all(x in FORMATS for x in v)),
    f"one or a list of {', '.join(FORMATS)}",
)
PRECISIONS = ("auto", "32-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true", "64-true", "32", "64", 32, 64)

CHECKS: dict[str, Check] = {
    "name": FOLDER_NAME,
    "export": optional(EXPORTS),
    "seed": integer(0),
    "objective": (lambda v: isinstance(v, str) and v.startswith("val/"), "a metric such as val/score"),
    "data.batch_size": integer(1),
    "data.fold": integer(0),
    "data.folds": integer(2),
    "data.fold_seed": integer(0),
    "data.label_fraction": SHARE,
    "data.split": choice("fold", "unseen"),
    "data.size": TWO_SIZES,
    "data.raw_size": TWO_SIZES,
    "data.drop_last": BOOLEAN,
    "data.workers": integer_or_auto(0),
    "data.download": BOOLEAN,
    "data.crop": BOOLEAN,
    "data.unseen_share": (lambda v: _is_number(v) and 0 <= v <= 0.5, "a share from 0 to 0.5"),
    "data.progressive": optional(STAGES),
    "data.synthetic_fraction": number(0, 1),
    "data.synthetic.count": integer(1),
    "data.synthetic.seed": integer(0),
    "model.pool": choice("avg", "gem", "gem_each"),
    "model.pretrained": BOOLEAN,
    "model.compile": BOOLEAN,
    "model.channels_last": BOOLEAN,
    "model.tta": optional(VIEWS),
    "model.dropout": number(0, 1),
    "model.decision": choice("argmax", "prior_corrected"),
    "model.power": optional(number(0)),
    "model.grapheme_head": BOOLEAN,
    "model.loss": (lambda v: isinstance(v, DictConfig), "the name of a loss, as model.loss=focal"),
    "model.loss.smoothing": number(0, 1),
    "model.loss.gamma": number(0),
    "model.loss.share": (lambda v: _is_number(v) and 0 < v <= 1, "a share above 0 to 1"),
    "model.loss.beta": number(0, 1),
    "model.loss.power": number(0),
    "model.init_from": (lambda v: v is None or isinstance(v, str), "a run directory, or null"),
    "pretrain.bank": integer(1),
    "pretrain.neighbors": integer(1),
    "pretrain.test_images": BOOLEAN,
    "optimizer.lr": POSITIVE,
    "optimizer.weight_decay": number(0),
    "scheduler.warmup": number(0, 1),
    "scheduler.floor": number(0, 1),
    "scheduler.cycles": integer(1),
    "scheduler.growth": POSITIVE,
    "scheduler.pct_start": number(0, 1),
    "scheduler.patience": integer(0),
    "scheduler.factor": (lambda v: _is_number(v) and 0 < v <= 1, "a number above 0, at most 1"),
    "scheduler.mode": choice("min", "max"),
    "scheduler.schedule.interval": choice("step", "epoch"),
    "scheduler.schedule.frequency": integer(1),
    "trainer.devices": DEVICES,
    "trainer.num_nodes": integer(1),
    "trainer.max_epochs": integer(1),
    "trainer.accumulate_grad_batches": integer(1),
    "trainer.check_val_every_n_epoch": integer(1),
    "trainer.log_every_n_steps": integer(1),
    "trainer.gradient_clip_val": optional(number(0)),
    "trainer.max_restarts": integer(0),
    "trainer.scale_lr": choice("none", "linear", "sqrt"),
    "trainer.opt_level": choice("O0", "O1", "O2"),
    "trainer.precision": (
        lambda v: v in PRECISIONS,
        "one of auto, 32-true, 16-mixed, bf16-mixed, 16-true, bf16-true, 64-true",
    ),
    "launcher.n_jobs": integer(1),
    "launcher.minutes": integer(1),
    "launcher.requeues": integer(0),
    "launcher.signal_delay": integer(1),
    "launcher.cpus_per_node": optional(integer(1)),
    "launcher.gpus_per_node": optional(integer(0)),
    "launcher.retries": integer(0),
    "callbacks.checkpoint.mode": choice("min", "max"),
    "callbacks.early_stopping.patience": optional(integer(1)),
    "callbacks.ema.decay": optional(number(0, 1)),
    "callbacks.swa.start": optional(number(0, 1)),
    "callbacks.swa.lr": optional(POSITIVE),
    "callbacks.progress": BOOLEAN,
    "callbacks.report": BOOLEAN,
}


def check_options(config: DictConfig) -> None:
    """Raise InputError for the first option that holds what it cannot; the message names key and expectation."""
    for key, (holds, expected) in CHECKS.items():
        try:
            value = OmegaConf.select(config, key, default=check_options)
        except OmegaConfBaseException as error:
            raise InputError(f"{key}: {str(error).splitlines()[0]}") from error
        if value is not check_options and not holds(value):
            raise InputError(f"{key}: expected {expected}, got {value!r}")
    if config.get("export") and config.get("pretrain"):
        raise InputError("export: a pretraining run has no trained heads to export; expected export=null")
    if config.data.fold >= config.data.folds:
        raise InputError(f"data.fold: expected 0 to {config.data.folds - 1}, got {config.data.fold}")


def in_one_line(error: Exception, known: Callable[[], DictConfig]) -> str:
    """What Hydra or OmegaConf found wrong with a command line, as key, fault and what was expected;
    empty where the error is none of theirs.

    known: composes the configuration without the overrides, to look for names near the wrong one.
    """
    text = str(error)
    if isinstance(error, ValueError):
        if not text.startswith("Config group override must be"):
            return ""
        words = [w for w in sys.argv[1:] if re.fullmatch(r"[+~]?[\w/@]+=[^a-zA-Z_]*", w)]
        return f"{' '.join(words)}: a group takes the name of one of its choices, as optimizer=adamw"
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: cannot be read ({text.splitlines()[0]}); expected key=value, special characters quoted"
        )
    if found := re.search(
        r"(?:Ambiguous value for argument|Sweep parameters) '(?P<word>.+?)'(?: requires|$)", text, re.M
    ):
        word = found["word"]
        return f"{word}: several values are a sweep, which takes -m: python train.py -m {word}; or one value, quoted"
    if found := re.search(
        r"Could not find '(?P<choice>[^']+)'\s+Available options in '(?P<group>[^']+)':(?P<names>.*)", text, re.S
    ):
        group, wrong = found["group"], found["choice"].rpartition("/")[2]
        names = found["names"].split("Config search path")[0].split()
        return f"{group}={wrong}: no such choice; expected one of {', '.join(names)}"
    if found := re.search(r"Could not (?:override|append to config|delete)[^']*'(?P<key>[^'=]+)", text):
        key = found["key"].strip().lstrip("+~")
        every = list(_keys(known()))
        if key in every:  # the option is there; what is not is a key of the mapping that it was given
            key = getattr(error.__cause__, "full_key", None) or key
        names = [name for name in every if not name.endswith("._target_")]
        near = difflib.get_close_matches(key, names, 1)
        return f"{key}: no such option; " + (
            f"did you mean {near[0]}?" if near else "`python train.py --help` lists them"
        )
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    key = getattr(cause, "full_key", None)
    first = lines[0] if lines else type(cause).__name__
    return f"{key}: {first}" if key and key not in first else first


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    for key in node:
        yield prefix + str(key)
        if not OmegaConf.is_missing(node, key) and isinstance(node._get_node(key), DictConfig) and node._get_node(key):
            yield from _keys(node._get_node(key), f"{prefix}{key}.")
