import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from okkhor.reports.eda.duplicates import duplicates, find_duplicates, likeness, near_pairs
from okkhor.reports.eda.measuring import measure


@given(st.lists(st.integers(0, 2**64 - 1), max_size=12), st.data())
def test_every_pair_within_seven_bits_is_found_and_no_other(prints, data):
    bits = st.lists(st.integers(0, 63), max_size=9)
    flipped = [p ^ sum(1 << b for b in set(data.draw(bits))) for p in prints]
    every = np.array(prints + flipped, np.uint64)
    expected = {
        (a, b) for a in range(len(every)) for b in range(a + 1, len(every))
        if int(every[a] ^ every[b]).bit_count() <= 7
    }  # fmt: skip
    found = near_pairs(every)
    assert set(map(tuple, found.tolist())) == expected
    assert len(found) == len(expected)
    apart = [int(every[a] ^ every[b]).bit_count() for a, b in found.tolist()]
    assert apart == sorted(apart)


def test_copies_and_shifted_noisy_copies_are_found_others_are_not(data_set, drawings):
    rng = np.random.default_rng(2)
    shifted = np.roll(drawings[5], (4, -6), (0, 1))
    shifted = np.clip(shifted.astype(int) + rng.integers(-3, 4, shifted.shape), 0, 255).astype(np.uint8)
    images = np.concatenate([drawings, drawings[[9]], shifted[None], np.full((2, 60, 90), 250, np.uint8)])
    labels = np.zeros((len(images), 1), np.int64)
    labels[61] = 1
    data = data_set(images, labels, [2])
    found = find_duplicates(data, measure(data.images, 0, lambda *_: None), lambda *_: None)
    assert sorted(map(tuple, found.pairs.tolist())) == [(5, 61), (9, 60)]  # two blank images are no copies
    section = duplicates(data, found)
    assert section.table[1][:2] == ["image5", "image61"]  # the labels differ, so it comes first
    assert [row[3] for row in section.table[1:]] == ["no", "yes"]
    assert [row[2] for row in section.table[1:]][1] == "1.000"
    assert "1 image repeats another" in section.says


def test_likeness_ignores_where_the_ink_lies_but_not_what_it_is(drawings):
    moved = np.roll(drawings[:10], (3, 5), (1, 2))
    assert (likeness(drawings[:10], moved) > 0.95).all()
    assert (likeness(drawings[:10], drawings[10:20]) < 0.8).all()


def test_images_beyond_a_full_bucket_are_compared_with_the_first_ones():
    pairs = near_pairs(np.zeros(50, np.uint64), bucket=10)
    assert len(pairs) == 10 * 9 // 2 + 10 * 40
    assert set(pairs.reshape(-1).tolist()) == set(range(50))
