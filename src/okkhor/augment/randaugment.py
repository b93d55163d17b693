"""RandAugment's operations for gray handwriting, as transforms of `okkhor.augment.image`."""

from typing import Any

PAPER = 250  # gray level of what comes in from outside
LEVELS = 30  # the magnitudes of the paper are 0 to 30


def randaugment(n: int = 2, magnitude: float = 9) -> dict[str, dict[str, Any]]:
    """`n` operations an image, each at `magnitude` of 30 (https://arxiv.org/abs/1909.13719).

    Left out of the paper's list is what needs color; Solarize, which makes ink of paper; and Equalize, which makes
    speckles of an almost white page. The widest settings are the paper's. Raises ValueError for numbers out of range.
    """
    if not isinstance(n, int) or not 1 <= n <= 10:
        raise ValueError(f"n: expected a whole number of operations from 1 to 10, got {n!r}")
    if not 0 <= magnitude <= LEVELS:
        raise ValueError(f"magnitude: expected a number from 0 to {LEVELS}, got {magnitude!r}")
    m = magnitude / LEVELS

    def affine(**what: Any) -> dict[str, Any]:
        return {"Affine": {**what, "fill": PAPER, "p": 1.0}}

    tone = {"p": 1.0}
    operations = [
        {"NoOp": tone},
        affine(rotate=[-30 * m, 30 * m]),
        affine(shear={"x": [-17 * m, 17 * m], "y": [0, 0]}),
        affine(shear={"x": [0, 0], "y": [-17 * m, 17 * m]}),
        affine(translate_percent={"x": [-0.3 * m, 0.3 * m], "y": [0, 0]}),
        affine(translate_percent={"x": [0, 0], "y": [-0.3 * m, 0.3 * m]}),
        {"AutoContrast": tone},
        {"Posterize": {"num_bits": min(7, round(8 - 4 * m)), **tone}},
        {"RandomBrightnessContrast": {"brightness_limit": [-0.9 * m, 0.9 * m], "contrast_limit": [0, 0], **tone}},
        {"RandomBrightnessContrast": {"brightness_limit": [0, 0], "contrast_limit": [-0.9 * m, 0.9 * m], **tone}},
        {"Sharpen": {"alpha": [0.0, m], **tone}},
    ]
    return {"SomeOf": {"n": n, "replace": True, "p": 1.0, "transforms": operations}}
