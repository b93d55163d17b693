import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from okkhor.data.sampling import PADDING, EpochBatches

sizes = {"count": st.integers(1, 200), "batch": st.integers(1, 33), "ranks": st.integers(1, 4)}


def all_ranks(count, batch, ranks, *, shuffle, epoch=0, drop_last=True):
    """Batches of row numbers by rank."""
    made = []
    for rank in range(ranks):
        dealt = {"rank": rank, "ranks": ranks, "drop_last": drop_last}
        sampler = EpochBatches(np.arange(count) * 3, batch, shuffle=shuffle, seed=5, **dealt)
        sampler.set_epoch(epoch)
        made.append([[row for _, row in items] for items in sampler])
        assert len(made[-1]) == len(sampler)
    return made


@given(**sizes)
@settings(max_examples=60, deadline=None)
def test_in_order_every_row_comes_once_and_ranks_have_equal_steps(count, batch, ranks):
    by_rank = all_ranks(count, batch, ranks, shuffle=False, drop_last=False)
    rows = [row for batches in by_rank for items in batches for row in items]
    assert sorted(row for row in rows if row != PADDING) == [3 * i for i in range(count)]
    assert len({tuple(map(len, batches)) for batches in by_rank}) == 1
    assert rows.count(PADDING) < ranks


@given(**sizes, epoch=st.integers(0, 5), drop_last=st.booleans())
@settings(max_examples=80, deadline=None)
def test_shuffled_no_row_comes_twice_and_ranks_have_equal_steps(count, batch, ranks, epoch, drop_last):
    by_rank = all_ranks(count, batch, ranks, shuffle=True, epoch=epoch, drop_last=drop_last)
    rows = [row for batches in by_rank for items in batches for row in items]
    real = [row for row in rows if row != PADDING]
    assert len(set(real)) == len(real)
    assert len({tuple(map(len, batches)) for batches in by_rank}) == 1
    full = count // (batch * ranks)
    if drop_last and full:
        assert rows == real
        assert len(rows) == full * batch * ranks
    else:
        assert len(real) == count
        assert len(rows) - count < ranks


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_share_the_global_batch_of_one_process(ranks):
    alone = all_ranks(64, 8, 1, shuffle=True)[0]
    together = all_ranks(64, 8 // ranks, ranks, shuffle=True)
    for step, items in enumerate(alone):
        assert sorted(items) == sorted(row for batches in together for row in batches[step])


def test_order_follows_from_seed_and_epoch_alone():
    first, again = all_ranks(50, 7, 1, shuffle=True, epoch=2), all_ranks(50, 7, 1, shuffle=True, epoch=2)
    assert first == again
    assert first != all_ranks(50, 7, 1, shuffle=True, epoch=3)


def test_skipped_batches_are_those_at_the_start_and_only_once():
    sampler = EpochBatches(np.arange(40), 8, shuffle=True, seed=1)
    whole = list(sampler)
    sampler.skip = 3
    assert list(sampler) == whole[3:]
    assert list(sampler) == whole
