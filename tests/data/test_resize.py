import cv2
import numpy as np
import pytest

from okkhor.data.resize import resize


def test_stack_equals_one_by_one():
    images = np.random.default_rng(0).integers(0, 256, (5, 137, 236), np.uint8)
    together = resize(images, (48, 84))
    assert together.shape == (5, 48, 84)
    assert all((resize(image, (48, 84)) == out).all() for image, out in zip(images, together, strict=True))


def test_halving_averages_two_by_two_blocks():
    image = np.random.default_rng(0).integers(0, 256, (64, 128), np.uint8)
    blocks = image.reshape(32, 2, 64, 2).mean((1, 3))
    assert np.abs(resize(image, (32, 64)) - blocks).max() <= 0.5


def test_same_size_is_the_same_array_and_growing_is_linear():
    image = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
    assert resize(image, (20, 30)) is image
    assert (resize(image, (40, 60)) == cv2.resize(image, (60, 40), interpolation=cv2.INTER_LINEAR)).all()


@pytest.mark.parametrize("images", [np.zeros((4, 4), np.float32), np.zeros((1, 1, 4, 4), np.uint8)])
def test_other_types_and_ranks_are_refused(images):
    with pytest.raises(ValueError, match="uint8"):
        resize(images, (2, 2))
