import numpy as np

from okkhor.reports.augmentation import draw_augmentation
from okkhor.reports.naming import Naming


def test_every_image_is_drawn_before_and_after_with_what_it_counts_as():
    rows, columns = 2, 3
    before = np.zeros((rows, 20, 30), np.uint8)  # black, so that each can be counted
    after = np.zeros((rows, columns, 20, 30), np.float32)
    own, other = np.array([3, 1]), np.array([7, 2])
    mixed = [[(own, other, 0.62)] + [(own, own, 1.0)] * (columns - 1)] * rows
    figure = draw_augmentation("aug=cutmix", before, np.stack([own] * rows), after, mixed, Naming())
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    black = (pixels == 0).all(-1)
    lines, places = black.any(1), black.any(0)
    assert np.count_nonzero(np.diff(lines.astype(int)) == 1) == rows
    assert np.count_nonzero(np.diff(places.astype(int)) == 1) == columns + 1
