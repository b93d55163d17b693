"""What a trained network says of images, as arrays: made elsewhere, since nothing here knows PyTorch."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Opinions:
    """Of n rows of a store.

    rows: (n,) int64; read_as: (n, heads) int64, the most probable classes; sure: (n, heads) float32, their
    probabilities; given: (n, heads) float32, those of the labels; held_out: (n,) bool, not trained on, None where that
    is not known; features: (m, C) float32 of the first m rows; run: what the network is called.
    """

    rows: np.ndarray
    read_as: np.ndarray
    sure: np.ndarray
    given: np.ndarray
    held_out: np.ndarray | None
    features: np.ndarray
    run: str
