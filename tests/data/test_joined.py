import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from okkhor.data.joined import Joined
from okkhor.data.sampling import PADDING, EpochBatches, Extra

FIRST, SECOND = np.arange(12).reshape(6, 2), 100 + np.arange(8).reshape(4, 2)


@given(st.lists(st.integers(0, 9), max_size=30))
def test_rows_are_those_of_the_arrays_put_together(rows):
    rows = np.array(rows, np.int64)
    assert np.array_equal(Joined([FIRST, SECOND])[rows], np.concatenate([FIRST, SECOND])[rows])


def test_numbers_go_on_in_the_last_array_and_padding_is_answered():
    joined = pickle.loads(pickle.dumps(Joined([FIRST, SECOND])))
    assert len(joined) == 10
    assert np.array_equal(joined[np.array([10, 13, 14])], SECOND[[0, 3, 0]])
    assert joined[np.array([PADDING])].shape == (1, 2)


def test_what_it_gives_is_a_copy():
    joined = Joined([FIRST, SECOND])
    joined[np.array([0, 7])][...] = -5
    assert FIRST.min() == 0
    assert SECOND.min() == 100


def drawn(epoch, extra, seed=3, batch=4, ranks=1):
    batches = []
    for rank in range(ranks):
        sampler = EpochBatches(
            np.arange(20), batch // ranks, shuffle=True, seed=seed, rank=rank, ranks=ranks, extra=extra
        )
        sampler.set_epoch(epoch)
        batches.append([[row for _, row in items] for items in sampler])
        assert len(batches[-1]) == len(sampler)
    return batches


@given(count=st.integers(0, 30), epoch=st.integers(0, 3))
def test_extra_rows_join_every_epoch_in_their_number_and_none_twice(count, epoch):
    rows = [row for items in drawn(epoch, Extra(50, 8, count))[0] for row in items]
    ours, extra = [row for row in rows if row < 20], [row for row in rows if row >= 50]
    assert sorted(ours) == list(range(20))
    assert len(set(extra)) == len(extra) == count
    assert max(extra, default=50) < 50 + 8 * -(-max(count, 1) // 8)
    whole_rounds = count // 8 * 8
    assert {row for row in extra if row < 50 + whole_rounds} == set(range(50, 50 + whole_rounds))


def test_extra_rows_are_others_each_epoch_follow_from_the_seed_and_are_dealt_to_ranks():
    extra = Extra(50, 1000, 5)
    chosen = [frozenset(row for items in drawn(epoch, extra)[0] for row in items if row >= 50) for epoch in (0, 1, 0)]
    assert chosen[0] == chosen[2] != chosen[1]
    assert drawn(0, extra) != drawn(0, extra, seed=4)
    alone, shared = drawn(1, extra)[0], drawn(1, extra, ranks=2)
    for step, items in enumerate(alone[:-1]):
        assert sorted(items) == sorted(row for batches in shared for row in batches[step])
    mixed = [any(row >= 50 for row in items) and any(row < 20 for row in items) for items in alone]
    assert sum(mixed) > 1  # shuffled in, not put behind
