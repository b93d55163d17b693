"""Images and labels out of a store, a batch at a time."""

import os
import signal
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from okkhor.data.joined import Joined
from okkhor.data.sampling import PADDING
from okkhor.tether import tether

# one image uint8 (H, W) and the seed of its draw -> the augmented image, same shape
ImageAugmentation = Callable[[np.ndarray, list[int]], np.ndarray]


class ImageDataset(Dataset):
    """Rows of images at the network's size as batches of contract 2.

    images: uint8 (N, H, W), a memory map; labels: int64 (N, heads) or None; augmentation: drawn from
    (seed, epoch, row), so that neither worker nor rank changes it. Items are asked for by lists of (epoch, row);
    row PADDING gives blank paper and labels of -1. stages: (until, images) with rising `until`: epochs before
    that take these images, of another size, in place of `images`; a batch is of one epoch.
    """

    def __init__(
        self,
        images: np.ndarray | Joined,
        labels: np.ndarray | Joined | None,
        *,
        augmentation: ImageAugmentation | None = None,
        seed: int = 0,
        stages: Sequence[tuple[int, np.ndarray | Joined]] = (),
    ) -> None:
        self.images = images
        self.stages = stages
        self.labels = labels
        self.augmentation = augmentation
        self.seed = seed

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, items: list[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """images uint8 (B, 1, H, W) and labels int64 (B, heads), zero columns where the data has no labels."""
        rows = np.fromiter((row for _, row in items), np.int64, len(items))
        whole = next((images for until, images in self.stages if items[0][0] < until), self.images)
        images = np.asarray(whole[rows])  # a copy: choosing rows by number never shares memory
        images[rows == PADDING] = 255
        if self.augmentation is not None:
            for image, (epoch, row) in zip(images, items, strict=True):
                if row != PADDING:
                    image[...] = self.augmentation(image, [self.seed, epoch, row])
        return torch.from_numpy(images).unsqueeze(1), torch.from_numpy(self._labels(rows))

    def _labels(self, rows: np.ndarray) -> np.ndarray:
        if self.labels is None:
            return np.empty((len(rows), 0), np.int64)
        labels = self.labels[rows]
        labels[rows == PADDING] = -1
        return labels


def as_it_is(batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """The collate function: `__getitems__` has made the batch already."""
    return batch


def start_worker(_worker: int) -> None:
    """Start-up of a loader's worker: one thread, and an end that follows its process's.

    A signal to the whole process group asks the run to finish its batch, for which its workers are needed: the
    first is passed over. Should the run be killed, its workers are, too.
    """
    cv2.setNumThreads(0)  # OpenCV's own threads would fight with the other workers
    tether()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _: signal.signal(number, signal.SIG_DFL))


def worker_count(workers: int | str, on_cpu: bool) -> int:
    """Loader processes: as asked for, or chosen from the machine.

    On a GPU one for each processor but one, 16 at most. When the network computes on the same processors, one
    in four: a batch costs a small part of a training step there, and more workers only take turns with it.
    """
    if workers != "auto":
        return int(workers)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return processors // 4 if on_cpu else max(1, min(16, processors - 1))
