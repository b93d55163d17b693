"""A share of the labelled training images, as if the others had no labels: `data.label_fraction`."""

import numpy as np
from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

from okkhor.data.folds import one_hot_labels
from okkhor.errors import InputError


def labelled_share(labels: np.ndarray, fraction: float, seed: list[int]) -> np.ndarray:
    """Which images keep their labels, bool (N,), from labels int64 (N, heads); drawn from `seed` alone.

    Every class of every head is as common among them as the other heads allow, and has one image at least, since
    a class without an image could not be learned: of few images it may be more than the share. Raises InputError
    when it comes to no image.
    """
    chosen = np.ones(len(labels), bool)
    if fraction >= 1:
        return chosen
    if round(len(labels) * fraction) < 1:
        raise InputError(f"data.label_fraction: {fraction:g} of {len(labels)} images is none; expected a larger share")
    classes = np.concatenate([one_hot_labels(column) for column in labels.T], axis=1)
    state = int(np.random.default_rng(seed).integers(2**32))
    wanted = round(len(labels) * fraction)
    splitter = MultilabelStratifiedShuffleSplit(
        1, train_size=wanted, test_size=len(labels) - wanted, random_state=state
    )
    rows, _ = next(splitter.split(classes, classes))
    chosen[:] = False
    chosen[rows] = True
    for column in labels.T:
        missing = np.setdiff1d(column, column[chosen])
        chosen[[np.flatnonzero(column == label)[0] for label in missing]] = True
    return chosen
