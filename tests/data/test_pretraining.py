import numpy as np
import pytest
import torch

from okkhor.augment.image import ImagePipeline
from okkhor.data.dataset import ImageDataset
from okkhor.data.pretraining import JoinedImages, PretrainData, ViewsDataset
from okkhor.data.store import competition_store
from okkhor.errors import InputError
from okkhor.heads import Heads
from okkhor.training.build import build_data

SSL = ("pretrain=simclr", "aug=views")


def drawn(seed=0):
    images = np.random.default_rng(1).integers(0, 256, (6, 24, 40), dtype=np.uint8)
    affine = [{"Affine": {"rotate": [-20, 20], "translate_percent": [-0.1, 0.1], "p": 1.0}}]
    return ViewsDataset(JoinedImages([images]), ImagePipeline(affine), seed)


def test_joined_images_are_the_parts_one_after_the_other():
    first, none, last = (
        np.random.default_rng(k).integers(0, 256, (n, 3, 4), np.uint8) for k, n in enumerate((5, 0, 2))
    )
    joined = JoinedImages([first, none, last])
    whole = np.concatenate([first, none, last])
    rows = np.array([6, 0, 4, 5, 5, 1])
    assert len(joined) == 7
    assert np.array_equal(joined[rows], whole[rows])


def test_views_of_an_image_differ_and_come_again_whatever_they_are_drawn_with():
    dataset = drawn()
    views, labels = dataset.__getitems__([(0, 2), (0, 4), (1, 2)])
    assert views.shape == (3, 2, 24, 40)
    assert views.dtype == torch.uint8
    assert labels.shape == (3, 0)
    assert not torch.equal(views[0, 0], views[0, 1])  # the views of one image
    assert not torch.equal(views[0], views[2])  # of two epochs
    assert not torch.equal(views[0], drawn(seed=1).__getitems__([(0, 2)])[0][0])  # of two seeds
    alone = drawn().__getitems__([(1, 2)])[0]  # another process, another batch
    assert torch.equal(alone[0], views[2])


def test_neither_a_supervised_run_nor_another_view_draws_the_same():
    images = np.random.default_rng(1).integers(0, 256, (6, 24, 40), dtype=np.uint8)
    dataset = drawn()
    plain = ImageDataset(images, None, augmentation=dataset.augmentation, seed=0).__getitems__([(0, 2)])[0]
    assert not any(torch.equal(plain[0, 0], view) for view in dataset.__getitems__([(0, 2)])[0][0])


def test_all_but_the_validation_fold_is_trained_on_and_the_test_files(compose, synthetic_dir):
    config = compose(*SSL, "data.label_fraction=0.2")
    data = build_data(config)
    assert isinstance(data, PretrainData)
    test = competition_store(synthetic_dir, Heads.from_config(config.data.heads), split="test")
    rows, val = data.unlabelled_rows, data.rows("val")
    assert len(rows) == len(data.store) - len(val) + len(test)
    assert not set(rows) & set(val)
    assert len(data.bank_rows) < 0.5 * len(rows)  # labels are used by the score alone, and the share of them
    assert set(data.bank_rows) <= set(data.rows("train"))
    assert len(build_data(compose(*SSL, "pretrain.test_images=false")).unlabelled_rows) == len(data.store) - len(val)
    assert len(build_data(compose(*SSL, "pretrain.bank=7")).bank_rows) == 7


@pytest.mark.parametrize("workers", [0, 2])
def test_ranks_and_workers_deal_the_views_of_one_process(compose, workers):
    def views(rank, ranks):
        data = build_data(compose(*SSL, f"data.workers={workers}"))
        data._ranks = lambda: (ranks, rank)
        return [batch for batch, _ in data.train_dataloader()]

    one, shares = views(0, 1), [views(rank, 2) for rank in range(2)]
    assert len(one) == len(shares[0]) == len(shares[1]) > 10
    for whole, first, second in zip(one, *shares, strict=True):
        assert torch.equal(whole, torch.stack([first, second], 1).flatten(0, 1))


@pytest.mark.parametrize(
    ("options", "ranks", "said"),
    [
        (["data.batch_size=600"], 1, "data.batch_size: expected at most the 4.. images there are to pretrain on"),
        (["data.batch_size=2"], 2, "data.batch_size: expected a multiple of the 2 processes and two images or more"),
        (["data.batch_size=17"], 2, "data.batch_size: expected a multiple of the 2 processes"),
    ],
)
def test_batches_that_cannot_be_compared_are_refused(compose, options, ranks, said):
    with pytest.raises(InputError, match=said):
        build_data(compose(*SSL, *options)).train_batches(ranks)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["aug=none"], "aug.image: pretraining compares two views"),
        (["aug=cutmix"], "aug.batch: pretraining mixes no images"),
        (["model.compile=true"], "model.compile: pretraining does not compile"),
        (["+data.fodl=1"], "data.fodl: no such option of ImageData; did you mean data.fold"),
    ],
)
def test_what_does_not_go_with_pretraining_is_refused(compose, options, said):
    with pytest.raises(InputError, match=said):
        build_data(compose(*SSL, *options))


def test_without_lightly_it_says_what_to_install(compose, monkeypatch):
    monkeypatch.setattr("okkhor.training.pretraining.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"lightly is not installed; expected pip install -e '\.\[ssl\]'"):
        build_data(compose(*SSL))
