"""Images without labels for self-supervised pretraining: every training image and the test files', in two views."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from okkhor.data.dataset import ImageAugmentation
from okkhor.data.module import ImageData
from okkhor.data.resized import resized_images
from okkhor.data.sampling import EpochBatches
from okkhor.data.sources import SourceFolder
from okkhor.data.store import competition_store
from okkhor.errors import InputError
from okkhor.heads import Heads

VIEWS = 2


class JoinedImages:
    """Several arrays of images as one, row after row: (N1, H, W) and (N2, H, W) are (N1 + N2, H, W); nothing is copied.

    parts: uint8, memory maps as a rule.
    """

    def __init__(self, parts: Sequence[np.ndarray]) -> None:
        self.parts = list(parts)
        self.starts = np.cumsum([0, *(len(part) for part in self.parts)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """rows: int64 (n,) -> a copy, uint8 (n, H, W)."""
        images = np.empty((len(rows), *self.parts[0].shape[1:]), np.uint8)
        of_part = np.searchsorted(self.starts, rows, side="right") - 1
        for number, part in enumerate(self.parts):
            here = of_part == number
            images[here] = part[rows[here] - self.starts[number]]
        return images


class ViewsDataset(Dataset):
    """Augmented views of images; view v of row r in epoch e is drawn from (seed, e, r, v), whoever draws it.

    images: uint8 (N, H, W); asked for by lists of (epoch, row), as `okkhor.data.dataset.ImageDataset`.
    """

    def __init__(self, images: JoinedImages, augmentation: ImageAugmentation, seed: int) -> None:
        self.images, self.augmentation, self.seed = images, augmentation, seed

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, items: list[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """views uint8 (B, 2, H, W), the views of an image side by side, and no labels: int64 (B, 0)."""
        plain = self.images[np.fromiter((row for _, row in items), np.int64, len(items))]
        views = np.empty((len(items), VIEWS, *plain.shape[1:]), np.uint8)
        for image, of_image, (epoch, row) in zip(plain, views, items, strict=True):
            for number in range(VIEWS):  # counted from 1: NumPy takes a seed that ends with 0 for one without it
                of_image[number] = self.augmentation(image, [self.seed, epoch, row, 1 + number])
        return torch.from_numpy(views), torch.empty((len(items), 0), dtype=torch.int64)


class PretrainData(ImageData):
    """What `ImageData` holds, to train without labels and to be scored with them.

    Training takes all images of the training folds, whatever `label_fraction` is, and those of the competition's test
    files. For the k-NN score the validation fold is read by at most `bank` labeled training images. test_images:
    take the test files too, where there are any.
    """

    def __init__(self, *, test_images: bool = True, bank: int = 10_000, **options: Any) -> None:
        super().__init__(**options)
        if self.augmentation is None:
            raise InputError("aug.image: pretraining compares two views of an image; expected transforms, as aug=views")
        self.test_images, self.bank = test_images, bank

    def prepare_data(self) -> None:
        super().prepare_data()
        _ = self.unlabelled_images

    @cached_property
    def unlabelled_images(self) -> JoinedImages:
        """Images of the store and behind them those of the test files."""
        parts = [self.images]
        if self._has_test_files():
            assert self.dir is not None
            heads = Heads.from_config(self._heads)
            store = competition_store(self.dir, heads, split="test", cache_dir=self.cache_dir, size=self.raw_size)
            parts.append(resized_images(store, self.size, crop=self.crop))
        return JoinedImages(parts)

    @cached_property
    def unlabelled_rows(self) -> np.ndarray:
        """Rows of `unlabelled_images` that are trained on: all but the validation fold, whose score is to be told."""
        test = np.arange(len(self.store), len(self.unlabelled_images))
        return np.concatenate([np.flatnonzero(~self.validation_rows), test])

    @property
    def bank_rows(self) -> np.ndarray:
        """Labelled training rows that the k-NN score is read from: evenly from all, `bank` at most."""
        rows = self.rows("train")
        return rows[np.linspace(0, len(rows) - 1, min(self.bank, len(rows))).astype(int)]

    def train_batches(self, ranks: int = 1, rank: int = 0) -> EpochBatches:
        """Full batches only: every process must bring as many images as the others to a loss that compares all.

        Raises InputError when the images do not fill one batch, or a batch does not give every process two.
        """
        if self.batch_size % ranks or self.batch_size < 2 * ranks:
            raise InputError(
                f"data.batch_size: expected a multiple of the {ranks} processes and two images or more for each, "
                f"got {self.batch_size}"
            )
        if len(self.unlabelled_rows) < self.batch_size:
            raise InputError(
                f"data.batch_size: expected at most the {len(self.unlabelled_rows)} images there are to pretrain on, "
                f"got {self.batch_size}"
            )
        return EpochBatches(
            self.unlabelled_rows,
            self.batch_size // ranks,
            shuffle=True,
            seed=self.seed,
            rank=rank,
            ranks=ranks,
            drop_last=True,
        )

    def train_dataloader(self) -> DataLoader:
        batches = self.train_batches(*self._ranks())
        self._continue(batches)
        assert self.augmentation is not None
        return self._loader(batches, ViewsDataset(self.unlabelled_images, self.augmentation, self.seed))

    def val_dataloader(self) -> list[DataLoader]:
        """The labeled training images that are compared with, then the validation fold."""
        return [self.loader_of(rows, *self._ranks()) for rows in (self.bank_rows, self.rows("val"))]

    def _has_test_files(self) -> bool:
        if not self.test_images or self.dir is None or self.store_path is not None or self.source == "image_folder":
            return False
        return "test_image_data_0.parquet" in SourceFolder(self.dir).files
