"""Single images: what the hand and the scanner must not lose."""

import numpy as np
import pytest

from okkhor.data.synthetic.fonts import find_typefaces
from okkhor.data.synthetic.hand import write
from okkhor.data.synthetic.paper import Paper
from okkhor.data.synthetic.render import SIZE, TEST, Renderer
from okkhor.data.synthetic.sketch import Sketcher
from okkhor.labels import read_graphemes

RENDERER = Renderer(0)
SKETCHERS = [Sketcher(face) for face in find_typefaces()]


def test_an_image_follows_from_seed_stream_and_number_alone():
    expected = RENDERER.image(11)
    other = Renderer(0)
    other.image(5)  # what was rendered before does not matter
    np.testing.assert_array_equal(other.image(11), expected)
    assert not np.array_equal(RENDERER.image(11, TEST), expected)
    assert not np.array_equal(Renderer(1).image(11), expected)


def test_images_are_dark_ink_on_light_paper():
    for index in range(40):
        image = RENDERER.image(index)
        assert image.shape == SIZE
        assert image.dtype == np.uint8
        assert np.median(image) > 235
        ink = (image < 160).mean()
        assert 0.004 < ink < 0.2, f"image {index}: {ink:.1%} ink"


@pytest.mark.parametrize("sketcher", SKETCHERS, ids=lambda sketcher: sketcher.typeface.name)
def test_letters_hang_from_a_headline_one_letter_above_their_foot(sketcher):
    for text in ("ব", "ক", "ম", "ল"):
        sketch = sketcher.sketch(text)
        assert len(sketch.headline) == 1
        assert sketch.points[:, 1].min() == pytest.approx(0, abs=0.15)
        assert sketch.points[:, 1].max() == pytest.approx(1, abs=0.2)


def test_headlines_of_neighbors_are_one_and_letters_without_stay_without():
    assert len(SKETCHERS[0].sketch("কা").headline) == 1
    assert len(SKETCHERS[0].sketch("ং").headline) == 0
    assert len(SKETCHERS[0].sketch("ঃ").headline) == 0


@pytest.mark.parametrize(("plain", "dotted"), [("ড", "ড়"), ("ঢ", "ঢ়"), ("য", "য়"), ("ব", "র")])
def test_the_dot_that_tells_two_letters_apart_is_kept(plain, dotted):
    for sketcher in SKETCHERS:
        assert sketcher.sketch(dotted).stroke[-1] > sketcher.sketch(plain).stroke[-1]


def test_every_typeface_gives_strokes_for_every_grapheme_that_it_shapes():
    for text in read_graphemes()[0][::25]:
        for sketcher in SKETCHERS:
            sketch = sketcher.sketch(text)
            if sketch is None:
                assert sketcher.typeface.shape(text) is None
                continue
            assert np.isfinite(sketch.points).all()
            assert sketch.points.shape == sketch.rounded.shape == (*sketch.stroke.shape, 2)
            assert (np.bincount(sketch.stroke) >= 2).all(), "a stroke of one point draws nothing"


def test_a_hand_keeps_most_of_the_grapheme_on_the_paper():
    rng = np.random.default_rng(0)
    for text in read_graphemes()[0][::40]:
        points = np.concatenate(write(RENDERER._sketch(text, rng), rng, SIZE)[0])
        inside = (points >= 0).all(1) & (points < SIZE[::-1]).all(1)
        assert inside.mean() > 0.5, text


def test_a_thicker_pen_leaves_more_ink():
    line = [np.float32([[40, 60], [120, 70], [200, 60]])]
    paper = Paper()
    ink = [(paper.draw(line, pen, np.random.default_rng(1), SIZE) < 180).sum() for pen in (3.0, 4.0, 6.0)]
    assert ink == sorted(set(ink))


def test_strokes_beyond_the_edge_are_cut_off():
    line = [np.float32([[-400, 60], [900, 70]]), np.float32([[500, 500], [600, 600]])]
    image = Paper().draw(line, 4.0, np.random.default_rng(1), SIZE)
    assert (image.min(0) < 180).all()
