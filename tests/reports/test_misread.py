import numpy as np
import pytest

from okkhor.heads import Head
from okkhor.reports.misread import COLUMNS, draw_misread, most_confident_mistakes
from okkhor.reports.naming import Naming
from okkhor.reports.recall import HeadResult


def test_surest_mistakes_come_first_and_right_images_never():
    a = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]], dtype=np.float32)
    b = np.array([[0.99, 0.01], [0.6, 0.4], [0.05, 0.95], [0.5, 0.5]], dtype=np.float32)
    labels = np.array([[0, 0], [1, 0], [1, 0], [0, 0]])
    results = [
        HeadResult.of(Head(name, name, 2), labels[:, k], p.argmax(1))
        for k, (name, p) in enumerate([("a", a), ("b", b)])
    ]
    # 0 is right in both heads, surely; 1 is wrong in a at 0.8; 2 right in a, wrong in b at 0.95; 3 wrong in a at 0.7
    assert most_confident_mistakes(results, [a, b]).tolist() == [2, 1, 3]


@pytest.mark.parametrize("size", [(10, 17), (30, 10)])
def test_each_misread_image_is_seen_in_its_proportions(size):
    """Images whose upper half is black: as many black blocks as images, of half an image's proportions."""
    count = COLUMNS + 1
    labels, p = np.zeros(count, np.int64), np.tile(np.float32([0.2, 0.8]), (count, 1))
    images = np.full((count, *size), 255, np.uint8)
    images[:, : size[0] // 2] = 0
    figure = draw_misread(images, [HeadResult.of(Head("h", "h", 2), labels, p.argmax(1))], [p], Naming())
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    black = (pixels[..., 0] < 128) & (pixels == pixels[..., :1]).all(axis=-1)  # the ink of texts is bluish
    blocks = np.flatnonzero(np.diff(black.any(axis=0).astype(int)) == 1)
    assert len(blocks) == COLUMNS
    rows, columns = (black.any(axis=axis).sum() / n for axis, n in ((1, 2), (0, COLUMNS)))  # of one half
    assert rows / columns == pytest.approx(size[0] / 2 / size[1], rel=0.06)
