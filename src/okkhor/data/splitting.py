"""Which images validate: a fold, whole graphemes, or both."""

import numpy as np

from okkhor.data.store import Store

SPLITS = ("fold", "unseen")


def held_out(store: Store, split: str, fold: int, folds: int, seed: int, unseen_share: float = 0.0) -> np.ndarray:
    """Rows of the store that training does not get, bool (N,).

    split: `fold`, images of fold `fold` of `folds`; `unseen`, graphemes, about one in `folds`; unseen_share: of the
    graphemes, held out besides a fold, so that one run is scored on combinations that it saw and on others.
    """
    from okkhor.data.folds import folds_of, split_unseen

    if split == "unseen":
        return split_unseen(store, fold, folds, seed)
    rows = folds_of(store, folds, seed) == fold
    if unseen_share:
        parts = round(1 / unseen_share)
        rows = rows | split_unseen(store, fold % parts, parts, seed)
    return rows


def among(labels: np.ndarray, combinations: set[tuple[int, ...]]) -> np.ndarray:
    """Which rows of labels (N, heads) are one of the combinations, bool (N,)."""
    return np.fromiter((tuple(row) in combinations for row in labels.tolist()), bool, len(labels))
