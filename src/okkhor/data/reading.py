"""Images of a store read as a file: only what is asked for stays in memory, however large the store is.

A memory map is quicker where images are read again and again, as training does. But all pages of it that were read
count as the process's own, as long as the machine has room: after one look at 200,000 images that is 6.5 GB.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from okkhor.data.layout import IMAGES, Store


class StoredImages:
    """The images of a store, uint8 (N, H, W), by row or in blocks of rows. Every read opens the file anew, so
    threads may read at once."""

    def __init__(self, store: Store) -> None:
        self.path: Path = store.path / IMAGES
        self.count, self.size = len(store), store.size
        whole = store.images  # checks dtype and shape; nothing of it is read
        self._start = int(whole.offset)

    def __len__(self) -> int:
        return self.count

    def block(self, start: int, stop: int) -> np.ndarray:
        """Rows from start to before stop, a copy."""
        stop = min(stop, self.count)
        pixels = self.size[0] * self.size[1]
        with self.path.open("rb") as file:
            file.seek(self._start + start * pixels)
            return np.fromfile(file, np.uint8, (stop - start) * pixels).reshape(-1, *self.size)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """rows: (n,) integers in any order -> (n, H, W)."""
        rows = np.asarray(rows, np.int64).reshape(-1)
        found = np.empty((len(rows), *self.size), np.uint8)
        pixels = self.size[0] * self.size[1]
        with self.path.open("rb", buffering=0) as file:
            for place in np.argsort(rows, kind="stable"):
                file.seek(self._start + int(rows[place]) * pixels)
                found[place] = np.fromfile(file, np.uint8, pixels).reshape(self.size)
        return found

    def starts(self, rows: int) -> Iterator[tuple[int, int]]:
        """(start, stop) of blocks of so many rows that together are all."""
        for start in range(0, self.count, rows):
            yield start, min(start + rows, self.count)
