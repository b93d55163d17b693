import cv2
import numpy as np
import pytest

from okkhor.data.resize import ink_box, resize


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


def paper(height=137, width=236, tone=245):
    noise = np.random.default_rng(0).normal(0, 2, (height, width))
    return np.clip(tone + noise, 0, 255).astype(np.uint8)


def letter(image, top, left, height, width, thickness=4, ink=40):
    """A box with a diagonal, as wide and high as told."""
    corners = (left, top), (left + width, top + height)
    cv2.rectangle(image, *corners, ink, thickness)
    cv2.line(image, *corners, ink, thickness)
    return image


@pytest.mark.parametrize(("top", "left"), [(10, 10), (40, 100), (50, 140)])
@pytest.mark.parametrize("scale", [0.7, 1.0])
def test_a_letter_looks_the_same_wherever_and_however_large_it_was_written(top, left, scale):
    reference = resize(letter(paper(), 30, 80, 70, 80), (40, 52), crop=True)
    moved = resize(letter(paper(), top, left, int(70 * scale), int(80 * scale)), (40, 52), crop=True)
    soft = [cv2.GaussianBlur(image, (0, 0), 2).ravel().astype(float) for image in (reference, moved)]
    overlap = np.corrcoef(*soft)[0, 1]  # to a pixel, as ink is found to the stride
    assert overlap > (0.9 if scale == 1 else 0.6)
    ink = np.argwhere(moved < 150)
    height, width = np.ptp(ink, axis=0) + 1
    assert max(height / 40, width / 52) > 0.8  # it fills the image


def test_ink_is_found_to_the_stride():
    top, left, bottom, right = ink_box(letter(paper(), 30, 80, 70, 90))
    assert np.abs(np.array([top, left, bottom, right]) - (28, 78, 102, 172)).max() <= 4


def test_specks_and_dark_edges_do_not_count_as_ink():
    image = letter(paper(), 40, 100, 50, 60)
    clean = ink_box(image)
    image[:, :3] = 20
    image[120, 220] = 0
    assert ink_box(image) == clean


@pytest.mark.parametrize("blank", [np.full((137, 236), 250, np.uint8), paper(), np.zeros((137, 236), np.uint8)])
def test_paper_without_ink_comes_back_whole(blank):
    assert ink_box(blank) == (0, 0, 137, 236)
    assert resize(blank, (40, 52), crop=True).shape == (40, 52)


@pytest.mark.parametrize("shape", [(8, 8), (13, 200), (300, 20)])
def test_any_shape_can_be_cropped(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert resize(image, (40, 52), crop=True).shape == (40, 52)


def test_beyond_the_border_there_is_paper():
    image = letter(paper(tone=200), 2, 2, 120, 30)
    cropped = resize(image, (40, 52), crop=True)
    assert abs(int(np.median(cropped[:, -8:])) - 200) < 6
