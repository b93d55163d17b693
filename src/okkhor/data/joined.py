"""Two sets of samples as one, by number, without copying either."""

from collections.abc import Sequence

import numpy as np


class Joined:
    """Rows of arrays that lie behind one another, all (N, …) with the same remaining shape and dtype.

    Numbers beyond the last row begin the last array again: a set may be gone through several times with other
    numbers, and so with other augmentations. Negative numbers give the first row.
    """

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        assert len({(array.shape[1:], array.dtype) for array in arrays}) == 1
        self.arrays = list(arrays)
        self.starts = np.cumsum([0, *(len(array) for array in self.arrays[:-1])])

    def __len__(self) -> int:
        return sum(map(len, self.arrays))

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """rows: int64 (B,) -> a copy, (B, …)."""
        rows = np.maximum(rows, 0)
        of = np.searchsorted(self.starts, rows, side="right") - 1
        found = np.empty((len(rows), *self.arrays[0].shape[1:]), self.arrays[0].dtype)
        for k, array in enumerate(self.arrays):
            if (chosen := of == k).any():
                found[chosen] = array[(rows[chosen] - self.starts[k]) % len(array)]
        return found
