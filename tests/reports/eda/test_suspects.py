import numpy as np

from okkhor.reports.eda.opinions import Opinions
from okkhor.reports.eda.suspects import contradicted, outvoted, suspects


def test_a_label_that_all_neighbors_contradict_is_found(data_set):
    rng = np.random.default_rng(0)
    classes = 8
    labels = np.repeat(np.arange(classes), 20)
    shapes = (10 * np.eye(classes)[labels] + rng.normal(0, 0.3, (160, classes))).astype(np.float32)
    labels[33] = 6  # lies among class 1
    blank = np.zeros(160, bool)
    blank[40] = True
    labels[40] = 7  # wrong, too, but without ink nothing can be said
    data = data_set(np.full((160, 20, 30), 250, np.uint8), labels[:, None], [classes])
    found, right, asked = outvoted(data, shapes, blank)
    assert (found.row.tolist(), found.head.tolist(), found.other.tolist()) == ([33], [0], [1])
    assert (labels[found.shown[0]] == 1).all()
    assert 33 not in found.shown[0]
    assert asked == 159
    assert right[0] > 0.98
    section = suspects(data, found, asked, right, None)
    assert section.table[1][:5] == ["image33", "head0", 6, "6", 1]


def test_neighbors_of_the_commonest_class_are_no_sign(data_set):
    rng = np.random.default_rng(1)
    labels = (rng.random(200) < 0.04).astype(np.int64)  # shapes say nothing
    data = data_set(np.full((200, 20, 30), 250, np.uint8), labels[:, None], [2])
    found, _, _ = outvoted(data, rng.normal(size=(200, 5)).astype(np.float32), np.zeros(200, bool))
    assert not len(found.row)


def test_one_image_has_no_neighbors(data_set):
    data = data_set(np.full((1, 20, 30), 250, np.uint8), np.zeros((1, 1)), [2])
    found, right, asked = outvoted(data, np.zeros((1, 3), np.float32), np.zeros(1, bool))
    assert "none" in suspects(data, found, asked, right, None).says


def test_a_network_s_surest_contradictions_come_first(data_set):
    labels = np.array([[0, 1], [1, 0], [2, 1], [0, 0]])
    data = data_set(np.full((4, 20, 30), 250, np.uint8), labels, [3, 2])
    opinions = Opinions(
        rows=np.array([2, 0, 3]),
        read_as=np.array([[1, 1], [0, 0], [1, 1]]),
        sure=np.array([[0.95, 1.0], [0.9, 0.99], [0.6, 0.92]], np.float32),
        given=np.array([[0.01, 1.0], [0.9, 0.0], [0.1, 0.05]], np.float32),
        held_out=np.array([False, True, False]),
        features=np.empty((0, 4), np.float32),
        run="default/now",
    )
    found = contradicted(data, opinions)
    assert list(zip(found.row, found.head, found.other, strict=True)) == [(0, 1, 0), (2, 0, 1), (3, 1, 1)]
    section = suspects(data, found, 3, [], opinions)
    assert section.body.count("held out") == 1
    assert [row[0] for row in section.table[1:]] == ["image0", "image2", "image3"]
