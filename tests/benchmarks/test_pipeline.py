"""Both sides of the comparison read the same images and labels, and the clock counts what was delivered."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from okkhor.benchmarks.pipeline import endless, measure, plain, rate
from okkhor.benchmarks.setting import Setting
from okkhor.benchmarks.workshop import FrameImages, WorkshopImages
from okkhor.data.dataset import ImageDataset, as_it_is
from okkhor.data.sampling import EpochBatches
from okkhor.data.store import competition_store


@pytest.mark.parametrize("kind", [WorkshopImages, FrameImages])
def test_what_is_compared_with_gives_our_images_inverted_in_three_channels(kind, wide, tmp_path):
    store = competition_store(wide.folder, wide.heads, size=wide.size, cache_dir=tmp_path / "stores", progress=False)
    ours, our_labels = ImageDataset(store.images, store.labels).__getitems__([(0, i) for i in range(40)])
    pixels = pd.read_parquet(wide.folder / "train_image_data_0.parquet")
    theirs = kind(pixels, pd.read_csv(wide.folder / "train.csv"), wide.heads.columns, wide.size)
    assert len(theirs) == len(ours) == 40
    for index in (0, 7, 39):
        image, label = theirs[index]
        assert image.shape == (3, *wide.size)
        torch.testing.assert_close(image, (1 - ours[index].float() / 255).expand(3, -1, -1))
        assert label.tolist() == our_labels[index].tolist() == wide.labels[index].tolist()
    batch, batch_labels = next(iter(plain(theirs)))
    assert batch.shape == (40, 3, *wide.size)
    assert batch_labels.dtype == torch.int64


def test_epochs_follow_one_another_each_in_its_own_order():
    data = ImageDataset(np.arange(6, dtype=np.uint8).repeat(64).reshape(6, 8, 8), None)
    sampler = EpochBatches(np.arange(6), 3, shuffle=True, seed=0)
    batches = endless(DataLoader(data, batch_sampler=sampler, collate_fn=as_it_is))
    epochs = [torch.cat([next(batches)[0][:, 0, 0, 0] for _ in range(2)]).tolist() for _ in range(4)]
    assert all(sorted(epoch) == list(range(6)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) > 1


def test_the_rate_is_that_of_what_came_after_the_first_batch(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))  # a second passes at each look
    loader = DataLoader(TensorDataset(torch.zeros(20, 1)), batch_size=4)
    assert rate(loader, 3) == 4.0
    assert rate(loader, 0) == 4.0


def test_the_whole_part_on_a_few_small_images(setting, wide, monkeypatch):
    plain_config = Setting.config
    heads = ",".join(f"{head.name}:{{column:{head.column},classes:{head.classes}}}" for head in wide.heads)
    small = ["~data.heads", f"+data.heads={{{heads}}}", f"data.raw_size={list(wide.size)}", "data.size=[4,6]"]
    monkeypatch.setattr(Setting, "config", lambda self, options: plain_config(self, [*options, *small]))
    wide.folder.rename(setting.data)
    ticks = []
    figures = measure(setting, ticks.append)
    assert [figure.goal is not None for figure in figures] == [True, True, False]
    assert all(np.isfinite(figure.ratio.median) and figure.ratio.median > 0 for figure in figures)
    assert len(ticks) == 1 + setting.rounds
