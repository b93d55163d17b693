"""What happens to batch and learning rate when there are more processes: a stated rule, `trainer.scale_lr`."""

from collections.abc import Callable
from math import sqrt

from omegaconf import DictConfig, OmegaConf

# the factor of the learning rate for n times the batch; linear: arXiv:1706.02677, sqrt: arXiv:1404.5997
RULES: dict[str, Callable[[int], float]] = {"linear": float, "sqrt": sqrt}
SCALED = ("max_lr", "eta_min", "min_lr", "base_lr")  # learning rates that a schedule names itself


def scaled(config: DictConfig, processes: int) -> tuple[DictConfig, str]:
    """The configuration as `processes` processes train it, and the rule in one line.

    none: `data.batch_size` is of all processes together and the learning rate stays, so the same run comes out of
    any number of them. linear, sqrt: each process takes `data.batch_size`, and learning rates grow by the number of
    processes or its root. The configuration that is handed in stays as it is.
    """
    rule = config.trainer.get("scale_lr", "none")
    if rule not in RULES:
        batch, lr = config.data.batch_size, config.optimizer.lr
        return config, _line(rule, processes, batch, lr)
    config, factor = config.copy(), RULES[rule](processes)
    batch, lr = config.data.batch_size * processes, config.optimizer.lr * factor
    OmegaConf.resolve(config.scheduler)  # a schedule that points at optimizer.lr is scaled once, not twice
    config.data.batch_size = batch
    config.optimizer.lr = lr
    for name in SCALED:
        if name in config.scheduler:
            config.scheduler[name] *= factor
    return config, _line(rule, processes, batch, lr)


def _line(rule: str, processes: int, batch: int, lr: float) -> str:
    each = f", {batch // processes} in each of {processes} processes" if processes > 1 else ""
    return f"scale_lr={rule}: batch {batch}{each}; learning rate {lr:g}"
