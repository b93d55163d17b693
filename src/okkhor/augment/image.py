"""Per-image augmentation: the only module that knows albumentations (2.0.8, its last MIT release)."""

import os
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from okkhor.errors import InputError

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else its import asks PyPI for a newer version


class ImagePipeline:
    """A list of albumentations transforms on one gray image, drawn from a seed given with the image.

    transforms: `[{Affine: {rotate: [-10, 10], p: 0.8}}, …]`, names and arguments as albumentations has them.
    Raises InputError naming the config key for an unknown transform or argument.
    """

    def __init__(self, transforms: Sequence[Mapping[str, Mapping[str, Any] | None]]) -> None:
        import albumentations

        self.compose = albumentations.Compose(
            [_transform(albumentations, i, entry) for i, entry in enumerate(transforms)]
        )

    def __call__(self, image: np.ndarray, seed: list[int]) -> np.ndarray:
        """image: uint8 (H, W), left as it is; seed: any integers of at least 0. Returns uint8 (H, W)."""
        generator = np.random.default_rng(seed)
        self.compose.set_random_state(generator, random.Random(int(generator.integers(2**63))))
        return self.compose(image=image)["image"]


def _transform(library: Any, position: int, entry: Mapping[str, Mapping[str, Any] | None]) -> Any:
    key = f"aug.image[{position}]"
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise InputError(f"{key}: expected one transform with its arguments, as `Affine: {{rotate: [-10, 10]}}`")
    ((name, arguments),) = entry.items()
    kind = getattr(library, str(name), None)
    if not (isinstance(kind, type) and issubclass(kind, library.BasicTransform)):
        raise InputError(
            f"{key}: {name!r} is no albumentations transform; expected a name such as Affine or GaussNoise"
        )
    arguments = {k: tuple(v) if isinstance(v, list | tuple) else v for k, v in (arguments or {}).items()}
    known = kind.InitSchema.model_fields if hasattr(kind, "InitSchema") else arguments
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        raise InputError(f"{key}.{name}: unknown argument {unknown[0]!r}; expected one of {', '.join(sorted(known))}")
    try:
        return kind(**arguments)
    except (ValueError, TypeError) as error:
        raise InputError(f"{key}.{name}: {error}") from error
