import numpy as np
import pytest

from okkhor.data.labelled import labelled_share
from okkhor.errors import InputError
from okkhor.training.build import build_data


def labels(count=3000):
    generator = np.random.default_rng(0)
    root = generator.choice(40, count, p=(p := np.arange(1, 41.0)) / p.sum())
    return np.stack([root, generator.integers(0, 11, count), generator.choice(4, count, p=[0.6, 0.3, 0.09, 0.01])], 1)


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_a_share_has_every_class_in_its_proportion(fraction):
    all_labels = labels()
    chosen = labelled_share(all_labels, fraction, [0, 0])
    assert abs(chosen.sum() - fraction * len(all_labels)) <= 5
    for column in all_labels.T:
        before, after = np.bincount(column), np.bincount(column[chosen], minlength=column.max() + 1)
        assert (np.abs(after - fraction * before) <= 3 + 0.05 * before).all()


def test_every_class_keeps_an_image_even_where_its_share_is_none():
    all_labels = labels()
    chosen = labelled_share(all_labels, 0.005, [0, 0])
    for column in all_labels.T:
        assert set(column[chosen]) == set(column)
    assert chosen.sum() < 0.03 * len(all_labels)


def test_it_follows_from_its_seed_alone():
    first = labelled_share(labels(), 0.1, [0, 0])
    np.random.seed(5)
    assert np.array_equal(first, labelled_share(labels(), 0.1, [0, 0]))
    assert not np.array_equal(first, labelled_share(labels(), 0.1, [0, 1]))
    assert labelled_share(labels(), 1.0, [0, 0]).all()


def test_a_share_of_nothing_is_refused():
    with pytest.raises(InputError, match=r"data.label_fraction: 0.0001 of 3000 images is none"):
        labelled_share(labels(), 0.0001, [0, 0])


def test_training_takes_the_share_and_validation_all_whatever_the_seed_of_the_run(compose):
    whole, part = build_data(compose()), build_data(compose("data.label_fraction=0.3"))
    other = build_data(compose("data.label_fraction=0.3", "seed=7"))
    assert np.array_equal(whole.rows("val"), part.rows("val"))
    assert set(part.rows("train")) < set(whole.rows("train"))
    assert np.array_equal(part.rows("train"), other.rows("train"))
    assert set(part.train_batches().indices) == set(part.rows("train"))
    assert part.combinations("train") < whole.combinations("train")
