"""Images a second out of the input pipeline: the project's against the workshop's.

Every side is a DataLoader with one worker and batches of `BATCH`, shuffled, without augmentation, over the same images,
and is asked for batches as fast as it gives them. The clock starts when a fresh worker has delivered its
first batch, so that neither its start nor anything made beforehand counts. All end with float32 on which a network
computes, converted where a side does so after its loader by one thread:

- ours: `okkhor.data`'s DataModule over the memory map, images scaled to `data.size` as the bench's configuration has
  it, uint8 through the loader, then inverted and scaled as the network does it (`MultiHeadClassifier.prepare`);
- ours, as scanned: the same without scaling, all pixels, one channel;
- the workshop's: see `okkhor.benchmarks.workshop`; all pixels, three equal channels, float32 through the loader;
- a wide pandas frame: the same without the workshop's array, pixels by `iloc` out of the frame.

All data of the two others is in memory; of ours it is in the page cache.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from okkhor.benchmarks.rounds import Figure, Goal, Side, Tick, alternate, threads
from okkhor.benchmarks.setting import Setting
from okkhor.benchmarks.workshop import FrameImages, WorkshopImages

BATCH = 128
GOAL = Goal(25, at_least=True)


def measure(setting: Setting, tick: Tick) -> list[Figure]:
    """Three figures: at the network's size against the workshop's and against the frame, and at equal size."""
    from okkhor.data.store import competition_store

    heads, size = setting.task()
    store = competition_store(setting.data, heads, size=size, cache_dir=setting.scratch / "stores", progress=False)
    reads = WorkshopImages.read(setting.data, heads.columns, size), FrameImages.read(setting.data, heads.columns, size)
    tick("pipeline: data sets open")

    own = [f"data.store={store.path}", "data=bengali", f"data.batch_size={BATCH}", "data.workers=1", "aug=none"]
    scanned = [*own, f"data.size=[{size[0]},{size[1]}]"]
    sides = {
        "ours": project(setting, own),
        "ours, as scanned": project(setting, scanned),
        "workshop's": lambda: rate(plain(reads[0]), setting.seconds),
        "wide frame": lambda: rate(plain(reads[1]), setting.seconds),
    }
    results = alternate(sides, setting.rounds, tick, "pipeline")
    by = {name: Side(name, "images/s", rounds) for name, rounds in results.items()}
    return [
        Figure("pipeline", "input, against the workshop's", by["ours"], by["workshop's"], GOAL),
        Figure("pipeline", "input, against a pandas frame", by["ours"], by["wide frame"], GOAL),
        Figure("pipeline", "input, all pixels on both sides", by["ours, as scanned"], by["workshop's"]),
    ]


def project(setting: Setting, options: list[str]) -> Callable[[], float]:
    """A side of this project: images a second of its own DataModule, ready for the backbone."""
    from okkhor.training.build import build_data, build_net

    config = setting.config(options)
    data = build_data(config)
    prepare: Callable[[Tensor], Tensor] = build_net(config, data.heads).prepare
    data.prepare_data()
    return lambda: rate(data.train_dataloader(), setting.seconds, prepare)


def plain(dataset: Dataset) -> DataLoader:
    """torch's own DataLoader; its worker lives as long as ours does, not anew for each epoch."""
    return DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=1, persistent_workers=True)


@torch.no_grad()
def rate(loader: DataLoader, seconds: float, prepare: Callable[[Tensor], Tensor] | None = None) -> float:
    """Images a second over `seconds`, and at least one batch, after the first; epoch follows epoch."""
    batches = endless(loader)
    with threads(1):
        next(batches)
        images, start, elapsed = 0, time.perf_counter(), 0.0
        while elapsed < seconds or not images:
            batch = next(batches)[0]
            if prepare is not None:
                batch = prepare(batch)
            images += len(batch)
            elapsed = time.perf_counter() - start
        batches.close()
    return images / elapsed


def endless(loader: DataLoader) -> Iterator[Any]:
    for epoch in itertools.count():
        if hasattr(loader.batch_sampler, "set_epoch"):
            loader.batch_sampler.set_epoch(epoch)
        yield from loader
