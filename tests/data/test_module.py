import itertools
import shutil

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from okkhor.data.dataset import worker_count
from okkhor.data.module import ImageData
from okkhor.data.splitting import among
from okkhor.errors import InputError

HEADS = {
    "root": {"column": "grapheme_root", "classes": 168, "weight": 2},
    "vowel": {"column": "vowel_diacritic", "classes": 11},
    "consonant": {"column": "consonant_diacritic", "classes": 7},
}


@pytest.fixture
def make(synthetic_dir):
    def build(**options):
        given = {"source": "competition", "dir": str(synthetic_dir), "heads": HEADS, "workers": 0, "batch_size": 16}
        return ImageData(**{**given, "raw_size": (137, 236), "size": (20, 26), **options})

    return build


@pytest.mark.parametrize("split", ["fold", "unseen"])
def test_training_and_validation_share_the_rows_out(make, split):
    parts = [make(split=split, fold=fold).rows(part) for fold in (0, 3) for part in ("train", "val")]
    for train, val in (parts[:2], parts[2:]):
        assert len(np.intersect1d(train, val)) == 0
        assert len(np.union1d(train, val)) == 500
    assert not np.array_equal(parts[1], parts[3])


def test_unseen_holds_out_whole_label_combinations(make):
    data = make(split="unseen")
    combinations = [{tuple(row) for row in data.store.labels[data.rows(part)].tolist()} for part in ("train", "val")]
    assert combinations[1]
    assert not combinations[0] & combinations[1]
    assert np.array_equal(data.rows("unseen"), data.rows("val"))


def test_unseen_part_of_a_fold_lacks_every_combination_of_training(make):
    data = make()
    train = {tuple(row) for row in data.store.labels[data.rows("train")].tolist()}
    for row in data.store.labels[data.rows("unseen")].tolist():
        assert tuple(row) not in train


def test_unseen_of_other_data_is_told_by_the_training_that_is_asked_about(make):
    data = make()
    labels = data.store.labels
    seen = {tuple(labels[0].tolist()), tuple(labels[1].tolist())}
    rows = data.rows("unseen", seen)
    assert set(range(500)) - set(rows) == {i for i, row in enumerate(labels.tolist()) if tuple(row) in seen}


def test_training_labels_and_which_combinations_they_have(make):
    data = make()
    assert np.array_equal(data.train_labels(), data.store.labels[data.rows("train")])
    labels = data.labels_of(data.rows("val"))
    known = {tuple(row) for row in data.train_labels().tolist()}
    assert among(labels, known).tolist() == [tuple(row) in known for row in labels.tolist()]
    assert among(labels[:0], known).shape == (0,)


def test_rows_are_read_in_the_augmentation_of_an_epoch_where_that_is_asked_for(make):
    def marked(image, seed):
        return np.full_like(image, seed[1] + seed[2] % 7)

    data = make(augmentation=marked)
    rows = data.rows("train")[:20]
    plain = np.concatenate([images.numpy() for images, _ in data.loader_of(rows)])
    assert np.array_equal(plain[:, 0], data.images[rows])
    drawn = np.concatenate([images.numpy() for images, _ in data.loader_of(rows, augmented_as=9)])
    assert drawn[:, 0, 0, 0].tolist() == [9 + row % 7 for row in rows]


def test_loader_gives_every_row_once_in_order_whatever_the_ranks(make):
    data = make()
    rows = data.rows("val")
    seen = []
    for rank in range(2):
        labels = torch.cat([labels for _, labels in data.loader_of(rows, ranks=2, rank=rank)])
        seen.append(labels[labels[:, 0] >= 0])
    together = sorted(map(tuple, torch.cat(seen).tolist()))
    assert together == sorted(map(tuple, data.store.labels[rows].tolist()))


def test_a_share_of_the_graphemes_may_be_held_out_besides_the_fold(make):
    fold, both = make(), make(unseen_share=0.1)
    assert set(fold.rows("val")) < set(both.rows("val"))
    known = both.combinations("train")
    seen = among(both.labels_of(both.rows("val")), known)
    assert 0 < (~seen).sum() < 0.3 * len(both.store)
    assert set(both.rows("val")[seen]) <= set(fold.rows("val"))
    assert not known & set(map(tuple, both.labels_of(both.rows("unseen")).tolist()))


def test_store_alone_is_enough(make):
    data = make()
    again = make(dir=None, store=str(data.store.path))
    assert np.array_equal(again.store.images[:3], data.store.images[:3])
    assert again.store.key == data.store.key


def test_a_store_that_was_copied_is_compared_with_its_checksums_by_one_rank_of_a_machine(make, tmp_path, monkeypatch):
    copied = shutil.copytree(make().store.path, tmp_path / "copied")
    make(dir=None, store=str(copied)).prepare_data()
    content = bytearray((copied / "images.npy").read_bytes())
    content[-1] ^= 1
    (copied / "images.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"images\.npy: changed since it was built"):
        make(dir=None, store=str(copied)).prepare_data()
    monkeypatch.setenv("LOCAL_RANK", "1")
    make(dir=None, store=str(copied)).prepare_data()


def test_a_store_in_s3_is_for_jobs(make):
    with pytest.raises(InputError, match=r"data\.store=s3://letters/graphemes: .*launcher\.data=s3://bucket/folder"):
        make(dir=None, store="s3://letters/graphemes").prepare_data()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dir": None}, "data.dir"),
        ({"split": "random"}, "data.split.*fold, unseen"),
        ({"fold": 5}, "data.fold.*0 to 4"),
    ],
)
def test_impossible_settings_are_refused_by_key(make, options, said):
    with pytest.raises(InputError, match=said):
        make(**options)


def test_batches_that_ranks_cannot_share_are_refused(make):
    with pytest.raises(InputError, match=r"data.batch_size.*multiple of the 3"):
        make().train_batches(ranks=3)
    with pytest.raises(InputError, match="too few"):
        make(batch_size=1000).train_batches(ranks=500)


def test_workers_are_as_asked_for_or_chosen_from_the_machine():
    assert worker_count(3, on_cpu=True) == 3
    assert 0 <= worker_count("auto", on_cpu=True) < worker_count("auto", on_cpu=False) <= 16


def test_synthetic_source_renders_once_and_leaves_a_contact_sheet(make, tmp_path):
    sheet = tmp_path / "reports" / "sheet.png"
    synthetic = {"count": 64, "seed": 1, "files": 1, "test_count": 1, "workers": 1, "progress": False}
    options = {"source": "synthetic", "dir": str(tmp_path / "rendered"), "cache_dir": str(tmp_path / "stores")}
    data = make(**options, synthetic={**synthetic, "contact_sheet": str(sheet)})
    assert len(data.store.images) == 64
    assert sheet.read_bytes().startswith(b"\x89PNG")
    before = (tmp_path / "rendered" / "train.csv").stat().st_mtime_ns
    assert make(**options, synthetic=synthetic).store.key == data.store.key
    assert (tmp_path / "rendered" / "train.csv").stat().st_mtime_ns == before


def test_overfitting_takes_the_same_batches_in_every_epoch(make):
    def batches(epoch, **limits):
        data = make()
        data.trainer = pl.Trainer(accelerator="cpu", logger=False, **limits)
        sampler = data.train_dataloader().batch_sampler
        sampler.set_epoch(epoch)
        return [[row for _, row in batch] for batch in itertools.islice(sampler, 2)]

    assert batches(0, overfit_batches=2) == batches(1, overfit_batches=2)
    assert batches(0) != batches(1)
