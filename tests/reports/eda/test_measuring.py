import numpy as np

from okkhor.data.resize import ink_box
from okkhor.reports.eda.ink import ink
from okkhor.reports.eda.measuring import measure


def test_each_image_is_measured_whatever_block_it_falls_into(data_set, drawings):
    images = np.concatenate([drawings] * 5)  # more than two blocks
    rng = np.random.default_rng(1)
    blank = 250 - rng.integers(0, 3, images.shape[1:]).astype(np.uint8)
    images[7] = images[299] = blank
    data, seen = data_set(images, np.zeros((300, 1)), [2]), []
    found = measure(data.images, 0, lambda done, total: seen.append((done, total)))
    assert np.flatnonzero(found.blank).tolist() == [7, 299]
    assert (found.ink[[7, 299]] == 0).all()
    for row in (0, 130, 298):
        assert tuple(found.box[row]) == ink_box(images[row])
        assert abs(found.ink[row] - (images[row, ::3, ::3] < 128).mean()) < 1e-3
        assert found.pen[row] < 60 < 240 < found.paper[row]
    same = (found.digest[:60] == found.digest[60:120]).all(axis=1)
    assert np.flatnonzero(~same).tolist() == [7]
    assert len(np.unique(found.digest[:60], axis=0)) == 60
    assert np.abs(found.shape[0] - found.shape[60]).max() == 0
    assert seen[-1] == (300, 300)
    assert seen == sorted(seen)


def test_the_map_of_ink_is_the_mean_of_all(data_set):
    images = np.full((4, 60, 90), 250, np.uint8)
    images[:2, 30:51, 15:30] = 20  # lower left in half of them
    images[2:, 9:21, 60:81] = 20
    found = measure(data_set(images, np.zeros((4, 1)), [2]).images, 0, lambda *_: None)
    rows, columns = (np.linspace(0, n, m, endpoint=False) for n, m in zip((60, 90), found.where.shape, strict=True))
    lower_left = found.where[np.ix_((rows > 33) & (rows < 46), (columns > 18) & (columns < 26))]
    assert np.allclose(lower_left, 0.5)
    assert found.where[-1, -1] == 0


def test_images_without_any_ink_still_make_a_section(data_set):
    data = data_set(np.full((5, 60, 90), 250, np.uint8), np.zeros((5, 1)), [2])
    section = ink(data, measure(data.images, 0, lambda *_: None))
    assert section.tiles[0][0] == "5"
    assert section.figure is None
    assert section.body.count("<img") == 5
