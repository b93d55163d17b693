import cv2
import numpy as np
import pytest
import torch

from okkhor.errors import InputError
from okkhor.models.view_list import is_view
from okkhor.models.views import Views

IMAGES = torch.randint(0, 256, (3, 1, 20, 30), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_without_views_images_and_values_pass_as_they_are():
    views = Views()
    assert views(IMAGES) is IMAGES
    assert views.mean(IMAGES) is IMAGES
    assert views.plain(IMAGES) is IMAGES
    assert not list(Views([[0, 0.1]]).state_dict())


def test_a_shift_moves_the_image_down_and_right_and_lets_paper_in():
    _, seen = Views([[0.1, 0.2]])(IMAGES).chunk(2)  # 2 rows of 20, 6 columns of 30
    torch.testing.assert_close(seen[:, :, 2:, 6:], IMAGES[:, :, :-2, :-6].float(), atol=2e-2, rtol=0)
    assert (seen[:, :, :2] > 254.9).all()
    assert (seen[:, :, :, :6] > 254.9).all()


@pytest.mark.parametrize("view", [(0.13, -0.07, 1.0), (0.0, 0.0, 1.2), (-0.05, 0.1, 0.8)])
def test_a_view_is_the_affine_picture_that_opencv_makes(view):
    down, right, scale = view
    smooth = cv2.GaussianBlur(IMAGES[0, 0].numpy(), (0, 0), 3).astype(np.float32)
    height, width = smooth.shape
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    moved = middle * (1 - scale) + [right * width, down * height]
    expected = cv2.warpAffine(
        smooth, np.array([[scale, 0, moved[0]], [0, scale, moved[1]]]), (width, height), borderValue=255.0
    )
    _, seen = Views([view])(torch.from_numpy(smooth)[None, None]).chunk(2)
    inside = np.s_[6:-6, 6:-6]
    assert np.abs(seen[0, 0].numpy() - expected)[inside].max() < 1.0  # OpenCV rounds places to 1/32 of a pixel
    assert np.abs(smooth - expected)[inside].max() > 2.0  # which is what there is to see


def test_mean_and_plain_belong_to_each_image():
    views = Views([[0, 0.1], [0.1, 0]])
    values = torch.arange(18.0).reshape(9, 2)  # three views of three images
    assert torch.equal(views.mean(values)[1], (values[1] + values[4] + values[7]) / 3)
    assert torch.equal(views.plain(values), values[:3])
    assert torch.equal(views.plain(views(IMAGES)), IMAGES.float())


@pytest.mark.parametrize("view", [[0.6, 0], [0], [0, 0, 3], [0, 0, 1, 1], [True, 0], ["a", 0]])
def test_what_is_no_view_is_refused(view):
    assert not is_view(view)
    with pytest.raises(InputError, match=r"model\.tta: expected a list of \[down,right\]"):
        Views([view])
