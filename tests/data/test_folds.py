"""Folds spread every class, are written once and read ever after; unseen graphemes are really unseen."""

import csv

import numpy as np
import pytest

from okkhor.data.folds import assign_folds, folds_of, folds_path, split_unseen
from okkhor.data.layout import Store
from okkhor.data.store import competition_store
from okkhor.errors import InputError
from okkhor.labels import GRAPHEMES


@pytest.fixture
def store(written) -> Store:
    data = written(rows=(300, 200))
    return competition_store(data.folder, data.heads, size=data.size, progress=False)


def competition_labels(count: int) -> np.ndarray:
    """Labels as the competition's: every one of its graphemes about equally often."""
    with GRAPHEMES.open(encoding="utf-8") as file:
        combinations = np.array([[int(value) for value in line[1:4]] for line in list(csv.reader(file))[1:]])
    return combinations[np.random.default_rng(0).integers(0, len(combinations), count)]


def test_every_class_is_spread_over_the_folds():
    labels = competition_labels(12_000)
    folds = assign_folds(labels, 5, 0)
    assert np.abs(np.bincount(folds, minlength=5) - 2400).max() < 40
    by_chance = np.random.default_rng(1).permutation(folds)
    assert unevenness(labels, folds) < 0.3 * unevenness(labels, by_chance)
    for head in range(3):
        images = np.bincount(labels[:, head])
        for klass in np.flatnonzero(images):
            in_fold = np.bincount(folds[labels[:, head] == klass], minlength=5)
            assert np.abs(in_fold - images[klass] / 5).max() <= max(4, 0.2 * images[klass] / 5)


def unevenness(labels: np.ndarray, folds: np.ndarray) -> float:
    """Chi square of the images a class and fold, over the classes of all heads."""
    total = 0.0
    for head in range(labels.shape[1]):
        counts = np.stack(
            [np.bincount(labels[folds == k, head], minlength=labels[:, head].max() + 1) for k in range(5)]
        )
        expected = counts.sum(axis=0) / 5
        total += (np.square(counts - expected) / np.maximum(expected, 1e-9)).sum()
    return total


def test_follow_from_the_seed():
    labels = competition_labels(500)
    assert np.array_equal(assign_folds(labels, 5, 3), assign_folds(labels, 5, 3))
    assert not np.array_equal(assign_folds(labels, 5, 3), assign_folds(labels, 5, 4))


@pytest.mark.parametrize("labels", [np.zeros((10, 1), np.int64), np.arange(10)[:, None] % 2, np.arange(10)[:, None]])
def test_a_single_head_will_do(labels):
    assert np.bincount(assign_folds(labels, 5)).tolist() == [2] * 5


def test_written_for_people_and_peers(store):
    folds = folds_of(store)
    with (store.path / "train_folds.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image_id", "grapheme_root", "vowel_diacritic", "sign", "grapheme", "fold"]
    assert [row["image_id"] for row in rows] == store.image_ids
    assert [row["grapheme"] for row in rows] == store.graphemes
    assert [int(row["sign"]) for row in rows] == store.labels[:, 2].tolist()
    assert [int(row["fold"]) for row in rows] == folds.tolist()


def test_a_file_that_is_there_is_used_in_any_order_of_its_lines(store):
    folds = folds_of(store)
    path = store.path / "train_folds.csv"
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    turned = [line[:-1] + str((int(line[-1]) + 1) % 5) for line in reversed(lines)]
    path.write_text("\n".join([header, *turned]), encoding="utf-8")
    assert np.array_equal(folds_of(store), (folds + 1) % 5)


def test_other_numbers_and_seeds_have_their_own_files(store):
    usual, ten, other = folds_of(store), folds_of(store, 10), folds_of(store, 5, 1)
    assert len({folds_path(store), folds_path(store, 10), folds_path(store, 5, 1)}) == 3
    assert ten.max() == 9
    assert not np.array_equal(usual, other)
    assert np.array_equal(folds_of(store), usual)


def test_a_store_that_cannot_be_written_gets_the_same_folds(store, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("okkhor.data.folds._write", refuse)
        computed = folds_of(store)
    assert not folds_path(store).exists()
    assert np.array_equal(folds_of(store), computed)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda text: text.replace("Train_3,", "Train_x,"), "not those of the store"),
        (lambda text: text[: text.rindex("Train_")], "not those of the store"),
        (lambda text: text + text.splitlines()[-1] + "\n", "not those of the store"),
        (lambda text: text.rstrip()[:-1] + "7\n", "expected 0 to 4"),
        (lambda text: text.rstrip()[:-1] + "x\n", "expected columns image_id and fold"),
        (lambda text: text.replace("fold", "part"), "expected columns image_id and fold"),
        (lambda text: "", "expected columns image_id and fold"),
    ],
)
def test_a_file_of_other_images_or_folds_is_refused(store, spoil, what):
    folds_of(store)
    path = folds_path(store)
    path.write_text(spoil(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(InputError, match=what) as refusal:
        folds_of(store)
    assert str(path) in str(refusal.value)
    assert "delete the file" in str(refusal.value)


@pytest.mark.parametrize("folds", [0, 1, 501])
def test_impossible_numbers_of_folds(store, folds):
    with pytest.raises(InputError, match=r"data\.folds"):
        folds_of(store, folds)


def test_unseen_holds_out_whole_combinations_and_leaves_every_class(store):
    rows = [{tuple(row) for row in store.labels[split_unseen(store, k)].tolist()} for k in range(5)]
    every = {tuple(row) for row in store.labels.tolist()}
    for fold, unseen in enumerate(rows):
        held_out = split_unseen(store, fold)
        seen = {tuple(row) for row in store.labels[~held_out].tolist()}
        assert unseen | seen == every
        assert not unseen & seen
        assert 0.1 < len(unseen) / len(every) < 0.3
        for head in range(store.labels.shape[1]):
            assert set(store.labels[held_out, head]) <= set(store.labels[~held_out, head])
    assert sum(map(len, rows)) == len(set.union(*rows))  # no combination in two folds


def test_unseen_keeps_the_only_grapheme_of_a_class_in_training(store):
    labels = competition_labels(20_000)
    for fold in range(5):
        held_out = split_unseen(_with_labels(store, labels), fold)
        assert 0.1 < held_out.mean() < 0.3
        for head in range(3):
            assert set(labels[held_out, head]) <= set(labels[~held_out, head])


def test_unseen_needs_two_heads(store):
    with pytest.raises(InputError, match=r"data\.split=unseen"):
        split_unseen(_with_labels(store, store.labels[:, :1]), 0)


def _with_labels(store: Store, labels: np.ndarray) -> Store:
    other = Store(store.path, store.description)
    other.__dict__["labels"] = labels
    return other
