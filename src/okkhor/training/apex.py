"""`trainer=apex`: the optimization levels and fused optimizers of NVIDIA apex, on PyTorch's own mixed precision.

apex.amp and apex.parallel were removed upstream in 2025; what is left and used here is apex.optimizers
(https://github.com/NVIDIA/apex). Mixed precision and synchronized batch norm are PyTorch's and Lightning's.
"""

from importlib.util import find_spec

from omegaconf import DictConfig

from okkhor.errors import InputError

# the workshop's words, and what they are today
PRECISION = {"O0": "32-true", "O1": "16-mixed", "O2": "bf16-true"}
# optimizer -> its fused form; not with capturable=True, nor the mixed-precision LAMB: those unscale gradients
# themselves, and Lightning then refuses to clip them
FUSED: dict[str, tuple[str, dict[str, bool]]] = {
    "torch.optim.Adam": ("apex.optimizers.FusedAdam", {"adam_w_mode": False}),
    "torch.optim.AdamW": ("apex.optimizers.FusedAdam", {"adam_w_mode": True}),
    "timm.optim.Lamb": ("apex.optimizers.FusedLAMB", {"adam_w_mode": True}),
    "torch.optim.SGD": ("apex.optimizers.FusedSGD", {}),
}


def check_apex() -> None:
    """Raise InputError where apex is not installed, or PyPI's project of the same name is."""
    if find_spec("apex") is None:
        raise InputError(
            "trainer=apex: apex is not installed; build it from https://github.com/NVIDIA/apex (PyPI's apex is "
            "another project), or use trainer=gpu trainer.precision=16-mixed"
        )
    if find_spec("apex.optimizers") is None:
        raise InputError(
            "trainer=apex: the installed apex has no apex.optimizers, PyPI's apex is another project; build "
            "https://github.com/NVIDIA/apex, or use trainer=gpu trainer.precision=16-mixed"
        )


def with_apex(config: DictConfig) -> tuple[DictConfig, str]:
    """The configuration with the fused form of its optimizer, and what was chosen, in one line.

    The configuration that is handed in stays as it is; an optimizer without a fused form, too.
    """
    level, wanted = config.trainer.opt_level, config.optimizer._target_
    said = f"apex {level}: precision {PRECISION[level]}"
    if wanted not in FUSED:
        return config, f"{said}, {wanted} as it is (apex has no fused form of it)"
    config, (fused, extra) = config.copy(), FUSED[wanted]
    config.optimizer = {**config.optimizer, "_target_": fused, **extra}
    return config, f"{said}, {fused}"
