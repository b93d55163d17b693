"""Images a second out of the input pipeline: the project's against the workshop's.

Every side is a DataLoader with one worker and batches of `BATCH`, shuffled, without augmentation, over the same images,
and is asked for batches as fast as it gives them. The clock starts when a fresh worker has delivered its
first batch, so that neither its start nor anything made beforehand counts. Nothing else computes meanwhile.

- ours: `okkhor.data`'s DataModule over the memory map. Images arrive as uint8, one channel, cropped and scaled as
  `data=bengali` says: that is done once, before the clock starts, and kept beside the store. Inverting and scaling to
  float is the network's work, on the network's device.
- ours, as scanned: the same without cropping and scaling, all pixels.
- the workshop's: see `okkhor.benchmarks.workshop`. All pixels, inverted, in three equal channels, float32.
- a wide pandas frame: the same without the workshop's array, pixels by `iloc` out of the frame.

All data of the two others is in memory; of ours it is in the page cache.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset

from okkhor.benchmarks.rounds import Figure, Goal, Side, Tick, alternate
from okkhor.benchmarks.setting import Setting, extra
from okkhor.benchmarks.workshop import FrameImages, WorkshopImages

BATCH = 128
GOAL = Goal(25, at_least=True)


def measure(setting: Setting, tick: Tick) -> list[Figure]:
    """Three figures: at the network's size against the workshop's and against the frame, and at equal size."""
    from okkhor.data.store import competition_store

    heads, size = setting.task()
    store = competition_store(setting.data, heads, size=size, cache_dir=setting.scratch / "stores", progress=False)
    pd = extra("pandas")
    pixels = pd.read_parquet(setting.data / "train_image_data_0.parquet")
    labels = pd.read_csv(setting.data / "train.csv")
    workshop = WorkshopImages(pixels, labels, heads.columns, size)
    frame = FrameImages(pixels, labels, heads.columns, size)
    tick("pipeline: data sets open")

    own = [f"data.store={store.path}", "data=bengali", f"data.batch_size={BATCH}", "data.workers=1", "aug=none"]
    scanned = [*own, f"data.size=[{size[0]},{size[1]}]", "data.crop=false"]
    sides = {
        "ours": project(setting, own),
        "ours, as scanned": project(setting, scanned),
        "workshop's": lambda: rate(plain(workshop), setting.seconds),
        "wide frame": lambda: rate(plain(frame), setting.seconds),
    }
    results = alternate(sides, setting.rounds, tick, "pipeline")
    by = {name: Side(name, "images/s", rounds) for name, rounds in results.items()}
    return [
        Figure("pipeline", "input / workshop's", by["ours"], by["workshop's"], GOAL),
        Figure("pipeline", "input / wide frame", by["ours"], by["wide frame"], GOAL),
        Figure("pipeline", "unscaled / workshop's", by["ours, as scanned"], by["workshop's"]),
    ]


def project(setting: Setting, options: list[str]) -> Callable[[], float]:
    """A side of this project: images a second of its own DataModule."""
    from okkhor.training.build import build_data

    data = build_data(setting.config(options))
    data.prepare_data()
    return lambda: rate(data.train_dataloader(), setting.seconds)


def plain(dataset: Dataset) -> DataLoader:
    """torch's own DataLoader; its worker lives as long as ours does, not anew for each epoch."""
    return DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=1, persistent_workers=True)


def rate(loader: DataLoader, seconds: float) -> float:
    """Images a second over `seconds`, and at least one batch, after the first; epoch follows epoch."""
    batches = endless(loader)
    next(batches)
    images, start, elapsed = 0, time.perf_counter(), 0.0
    while elapsed < seconds or not images:
        images += len(next(batches)[0])
        elapsed = time.perf_counter() - start
    batches.close()
    return images / elapsed


def endless(loader: DataLoader) -> Iterator[Any]:
    for epoch in itertools.count():
        if hasattr(loader.batch_sampler, "set_epoch"):
            loader.batch_sampler.set_epoch(epoch)
        yield from loader
