"""Which samples make which batch: drawn from (seed, epoch) alone, dealt to ranks, resumable within an epoch."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

PADDING = -1  # the index of a sample that is none: it fills the last batch of a rank and is masked everywhere


class Extra(NamedTuple):
    """Rows of a second set, some of which join each epoch. first: the number of its first row; size: rows in it;
    count: how many join. Where that is more than there are, numbers go on beyond the last one: see `Joined`.
    """

    first: int
    size: int
    count: int

    def drawn(self, seed: int, epoch: int) -> np.ndarray:
        """The rows that join an epoch, int64 (count,): all as often as possible, none twice by the same number."""
        rng = np.random.default_rng([seed, epoch, 1])
        rounds = -(-self.count // self.size)
        rows = [self.first + k * self.size + rng.permutation(self.size) for k in range(rounds)]
        return np.concatenate(rows)[: self.count] if rows else np.empty(0, np.int64)


class EpochBatches(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, index) pairs; the epoch travels along so that a worker draws its augmentation from it.

    indices: the rows of the store that take part; batch_size: of one rank; shuffle: draw a new order each epoch
    from (seed, epoch), without it the rows come in theirs; drop_last: leave out what does not fill a batch on every
    rank, where there is one full batch at least. Otherwise every row comes once, and ranks that come short are
    filled with `PADDING`. One global batch holds the same rows whatever the number of ranks: they are cut from one
    order. extra: what is drawn anew each epoch to be shuffled in.
    """

    def __init__(
        self,
        indices: np.ndarray,
        batch_size: int,
        *,
        shuffle: bool,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        drop_last: bool = False,
        extra: Extra | None = None,
    ) -> None:
        self.indices = np.asarray(indices, np.int64)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.extra = extra
        self.seed = seed
        self.rank, self.ranks = rank, ranks
        self.epoch = 0
        self.skip = 0  # batches to pass over in the next iteration only: a run resumed within an epoch

    @property
    def sampler(self) -> "EpochBatches":
        """Where Lightning looks for `set_epoch`: at a batch sampler's sampler, not at the batch sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        per_step = self.batch_size * self.ranks
        samples = len(self.indices) + (self.extra.count if self.extra else 0)
        full = samples // per_step
        return full if self.drop_last and full else -(-samples // per_step)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = self.indices
        if self.extra:
            order = np.concatenate([order, self.extra.drawn(self.seed, self.epoch)])
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(order)
        start, self.skip = self.skip, 0
        per_step = self.batch_size * self.ranks
        for step in range(start, len(self)):
            rows = order[step * per_step : (step + 1) * per_step]
            missing = -len(rows) % self.ranks
            rows = np.concatenate([rows, np.full(missing, PADDING, np.int64)])
            yield [(self.epoch, int(row)) for row in rows[self.rank :: self.ranks]]
