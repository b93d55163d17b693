"""Per-image augmentation: the only module that knows albumentations (2.0.8, its last MIT release)."""

import inspect
import os
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from okkhor.augment.randaugment import randaugment
from okkhor.errors import InputError

HOLDERS = ("OneOf", "SomeOf", "Sequential")  # transforms that hold others

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else its import asks PyPI for a newer version


class ImagePipeline:
    """A list of albumentations transforms on one gray image, drawn from a seed given with the image.

    transforms: `[{Affine: {rotate: [-10, 10], p: 0.8}}, …]`, names and arguments as albumentations has them;
    OneOf, SomeOf and Sequential hold `transforms` of their own, and `RandAugment: {n: 2, magnitude: 9}` stands for
    `okkhor.augment.randaugment`. Raises InputError naming the config key for an unknown transform or argument.
    """

    def __init__(self, transforms: Sequence[Mapping[str, Mapping[str, Any] | None]]) -> None:
        import albumentations

        self.compose = albumentations.Compose(_transforms(albumentations, transforms, "aug.image"))

    def __call__(self, image: np.ndarray, seed: list[int]) -> np.ndarray:
        """image: uint8 (H, W), left as it is; seed: any integers of at least 0. Returns uint8 (H, W)."""
        generator = np.random.default_rng(seed)
        self.compose.set_random_state(generator, random.Random(int(generator.integers(2**63))))
        return self.compose(image=image.copy())["image"]  # AutoContrast, for one, works in place


def _transforms(library: Any, entries: Sequence[Mapping[str, Mapping[str, Any] | None]], key: str) -> list[Any]:
    return [_transform(library, entry, f"{key}[{position}]") for position, entry in enumerate(entries)]


def _transform(library: Any, entry: Mapping[str, Mapping[str, Any] | None], key: str) -> Any:
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise InputError(f"{key}: expected one transform with its arguments, as `Affine: {{rotate: [-10, 10]}}`")
    ((name, given),) = entry.items()
    arguments = {k: tuple(v) if isinstance(v, list | tuple) else v for k, v in (given or {}).items()}
    if name == "RandAugment":
        try:
            return _transform(library, randaugment(**arguments), key)
        except (ValueError, TypeError) as error:
            raise InputError(f"{key}.{name}: {error}") from error
    if name in HOLDERS:
        inner = arguments.pop("transforms", ())
        if not inner:
            raise InputError(f"{key}.{name}.transforms: expected a list of transforms")
        arguments["transforms"] = _transforms(library, inner, f"{key}.{name}")
    kind = getattr(library, str(name), None)
    if not (name in HOLDERS or (isinstance(kind, type) and issubclass(kind, library.BasicTransform))):
        raise InputError(
            f"{key}: {name!r} is no albumentations transform; expected a name such as Affine or GaussNoise"
        )
    known = kind.InitSchema.model_fields if hasattr(kind, "InitSchema") else inspect.signature(kind).parameters
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        raise InputError(f"{key}.{name}: unknown argument {unknown[0]!r}; expected one of {', '.join(sorted(known))}")
    try:
        return kind(**arguments)
    except (ValueError, TypeError) as error:
        raise InputError(f"{key}.{name}: {error}") from error
