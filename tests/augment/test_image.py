import numpy as np
import pytest

from okkhor.augment.image import ImagePipeline
from okkhor.errors import InputError

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 84), np.uint8)


def test_same_seed_same_image_other_seed_another_and_input_stays():
    before = IMAGE.copy()
    pipeline = ImagePipeline([{"Affine": {"rotate": [-20, 20], "p": 1.0}}])
    first = pipeline(IMAGE, [0, 1, 2])
    assert first.dtype == np.uint8
    assert first.shape == IMAGE.shape
    assert (pipeline(IMAGE, [0, 1, 2]) == first).all()
    assert (pipeline(IMAGE, [0, 1, 3]) != first).any()
    assert (before == IMAGE).all()


def test_no_transform_is_the_identity():
    assert (ImagePipeline([])(IMAGE, [0]) == IMAGE).all()


@pytest.mark.parametrize(
    ("transforms", "said"),
    [
        ([{"Afine": {}}], "Afine"),
        ([{"Affine": {"rotat": [1, 2]}}], "rotat"),
        ([{"Affine": {"p": 7}}], r"aug.image\[0\].Affine"),
        ([{"Affine": None, "Rotate": None}], "one transform"),
        (["Affine"], "one transform"),
        ([{"Compose": {}}], "no albumentations transform"),
    ],
)
def test_wrong_transform_is_refused_by_key(transforms, said):
    with pytest.raises(InputError, match=said):
        ImagePipeline(transforms)
