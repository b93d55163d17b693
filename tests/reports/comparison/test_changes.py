import numpy as np

from okkhor.heads import Head
from okkhor.reports.comparison.changes import most_changed
from okkhor.reports.recall import HeadResult


def pair(changes, count=20):
    """Two results of one head: class k has `count` images, of which the second run reads changes[k] more right."""
    labels = np.repeat(np.arange(len(changes)), count)
    wrong = (labels + 1) % len(changes)
    place = np.tile(np.arange(count), len(changes))
    head = Head("h", "h", len(changes))
    theirs = np.where(place < 10, labels, wrong)
    ours = np.where(place < 10 + np.repeat(changes, count), labels, wrong)
    return HeadResult.of(head, labels, ours), HeadResult.of(head, labels, theirs)


def test_most_gained_come_first_most_lost_last_and_the_unchanged_not_at_all():
    assert most_changed(*pair([0, 3, -4, 9, 0, -1, 1])).tolist() == [3, 1, 6, 5, 2]


def test_gains_and_losses_share_the_rows_and_one_side_takes_what_the_other_leaves():
    changes = [1, 2, 3, 4, 5, 6, -7]
    assert most_changed(*pair(changes), most=4).tolist() == [5, 4, 3, 6]
    assert most_changed(*pair([-c for c in changes]), most=4).tolist() == [6, 3, 4, 5]
    assert most_changed(*pair([5, 4, 3, -1, -2, -3]), most=4).tolist() == [0, 1, 4, 5]


def test_many_images_that_changed_weigh_more_than_the_only_one():
    labels = np.array([0] + [1] * 30)
    theirs = np.array([1] + [1] * 10 + [0] * 20)
    ours = np.array([0] + [1] * 29 + [0])
    head = Head("h", "h", 2)
    results = HeadResult.of(head, labels, ours), HeadResult.of(head, labels, theirs)
    assert most_changed(*results, most=1).tolist() == [1]
    assert most_changed(*results).tolist() == [0, 1]  # but shown by points
