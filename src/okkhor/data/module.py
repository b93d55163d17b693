"""The DataModule: a source, a store, a split, two loaders."""

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from okkhor.data.dataset import ImageAugmentation, ImageDataset, as_it_is, start_worker, worker_count
from okkhor.data.joined import Joined
from okkhor.data.opening import heads_in, open_store
from okkhor.data.resized import resized_images
from okkhor.data.sampling import EpochBatches, Extra
from okkhor.data.splitting import SPLITS, among, held_out
from okkhor.data.store import Store
from okkhor.errors import InputError
from okkhor.heads import Heads

Source = Literal["synthetic", "competition", "image_folder"]
PARTS = ("val", "all", "unseen")


class ImageData(pl.LightningDataModule):
    """Images and labels of one task, from raw files to batches of contract 2.

    source: what `dir` holds: `competition` files, class folders (`image_folder`), or `synthetic` files that are
    rendered when they are not there yet; store: a packed store to read instead, without the sources; heads: the
    heads block (image_folder counts its classes itself); raw_size: (height, width) in the store; size: what
    batches have; crop: cut to the ink before resizing; split: `fold` holds out fold `fold` of `folds`, `unseen`
    whole graphemes; unseen_share: of the label combinations, held out besides the fold; label_fraction: share of the
    training images that keep their labels, drawn from (fold_seed, fold), the others take no part; batch_size: of all
    ranks together; drop_last: leave out the training images that do not fill a batch; workers: a number or `auto`;
    synthetic: what is rendered (`source=synthetic`, and `synthetic_fraction`); synthetic_fraction: share of rendered
    images in each training epoch, besides all real ones, drawn anew each time from those in `synthetic_dir`, and
    augmented alike; progressive: {epoch: size}, the size of training images until that epoch, and so on; after the
    last it is `size`, which validation always has.
    """

    def __init__(
        self,
        *,
        source: Source,
        dir: str | None,
        heads: Mapping[str, Mapping[str, Any]],
        raw_size: Sequence[int],
        size: Sequence[int],
        crop: bool = False,
        store: str | None = None,
        cache_dir: str | None = None,
        split: str = "fold",
        fold: int = 0,
        folds: int = 5,
        fold_seed: int = 0,
        unseen_share: float = 0.0,
        label_fraction: float = 1.0,
        batch_size: int = 64,
        drop_last: bool = True,
        workers: int | str = "auto",
        synthetic: Mapping[str, Any] | None = None,
        synthetic_fraction: float = 0.0,
        synthetic_dir: str | None = None,
        progressive: Mapping[int, Sequence[int]] | None = None,
        download: bool = False,
        seed: int = 0,
        augmentation: ImageAugmentation | None = None,
    ) -> None:
        super().__init__()
        if dir is None and store is None:
            raise InputError("data.dir: expected the folder with the data files, as data.dir=/data/bengaliai-cv19")
        if split not in SPLITS:
            raise InputError(f"data.split: expected one of {', '.join(SPLITS)}, got {split!r}")
        if not 0 <= fold < folds:
            raise InputError(f"data.fold: expected 0 to {folds - 1}, got {fold}")
        if synthetic_fraction and source != "competition":
            raise InputError(
                f"data.synthetic_fraction: rendered graphemes go with the competition's files, not with {source}; "
                "expected 0"
            )
        self.source, self.dir, self.store_path, self.cache_dir = source, dir, store, cache_dir
        self.raw_size, self.size = (raw_size[0], raw_size[1]), (size[0], size[1])
        self.crop = crop
        self.split, self.fold, self.folds, self.fold_seed = split, fold, folds, fold_seed
        self.unseen_share, self.label_fraction = unseen_share, label_fraction
        self.batch_size, self.drop_last, self.workers = batch_size, drop_last, workers
        self.synthetic = dict(synthetic or {})
        self.synthetic_fraction, self.synthetic_dir = synthetic_fraction, synthetic_dir
        self.progressive = {until: (h, w) for until, (h, w) in sorted((progressive or {}).items())}
        self.download = download
        self.seed = seed
        self.augmentation = augmentation
        self._heads = heads
        self._store: Store | None = None
        self._sized: dict[tuple[int, int], np.ndarray | Joined] = {}

    def prepare_data(self) -> None:
        """Fetch or render what is missing and build the store and the folds: once, before ranks divide the work.

        A store that is named was copied from elsewhere: one rank of each machine compares its checksums.
        """
        store = self.store
        if self.store_path is not None and os.environ.get("LOCAL_RANK", "0") == "0":
            store.verify()
        if store.labels is not None and len(store.images):
            _ = self.rows("train")
        for size in (self.size, *self.progressive.values()):
            self._training_images(size)

    @property
    def store(self) -> Store:
        if self._store is None:
            self._store = open_store(
                self.source,
                self.dir,
                self._heads,
                store=self.store_path,
                cache_dir=self.cache_dir,
                raw_size=self.raw_size,
                synthetic=self.synthetic,
                download=self.download,
            )
        return self._store

    @property
    def heads(self) -> Heads:
        """The heads with their numbers of classes; for class folders that means looking at the folders."""
        if self.source == "image_folder":
            return heads_in(self.source, self._heads, self.store)
        return Heads.from_config(self._heads)

    @cached_property
    def images(self) -> np.ndarray:
        """The store's images at the network's size, uint8 (N, height, width)."""
        return resized_images(self.store, self.size, crop=self.crop)

    @cached_property
    def rendered(self) -> Store:
        """The rendered images that join the training; raises InputError where their heads are others."""
        from okkhor.data.rendered import rendered_store

        if self.synthetic_dir is None:
            raise InputError("data.synthetic_dir: expected the folder of the rendered images, which is made if missing")
        store = rendered_store(
            self.synthetic_dir, self.synthetic, self.heads, cache_dir=self.cache_dir, size=self.raw_size
        )
        store.check_heads(self.heads)
        return store

    @cached_property
    def validation_rows(self) -> np.ndarray:
        """Rows of the store that are held out, bool (N,)."""
        return held_out(self.store, self.split, self.fold, self.folds, self.fold_seed, self.unseen_share)

    @cached_property
    def training_rows(self) -> np.ndarray:
        """Row numbers of the training images that keep their labels."""
        rows = np.flatnonzero(~self.validation_rows)
        if self.label_fraction >= 1:
            return rows
        from okkhor.data.labelled import labelled_share

        assert self.store.labels is not None
        return rows[labelled_share(self.store.labels[rows], self.label_fraction, [self.fold_seed, self.fold])]

    def rows(self, part: str, seen: set[tuple[int, ...]] | None = None) -> np.ndarray:
        """Row numbers of a part: `train`, `val`, `all`, or `unseen`: label combinations that training lacked.

        seen: the combinations of a training on other data, which `unseen` is then told by; of this data's own
        training rows by default.
        """
        if part == "all" or (part == "unseen" and seen is not None):
            candidates = np.arange(len(self.store.images))
        else:
            candidates = self.training_rows if part == "train" else np.flatnonzero(self.validation_rows)
        if part in ("train", "val", "all"):
            return candidates
        if part != "unseen":
            raise InputError(f"data.split: expected one of {', '.join(PARTS)}, got {part!r}")
        seen = self.combinations("train") if seen is None else seen
        return candidates[~among(self.labels_of(candidates), seen)]

    def combinations(self, part: str) -> set[tuple[int, ...]]:
        """The combinations of labels that a part holds."""
        return set(map(tuple, self.labels_of(self.rows(part)).tolist()))

    def labels_of(self, rows: np.ndarray) -> np.ndarray:
        """Labels of rows of the store, int64 (N, heads)."""
        labels = self.store.labels
        assert labels is not None
        return labels[rows]

    def train_labels(self) -> np.ndarray:
        """Labels of the training rows, int64 (N, heads): the same in every process and after every resume."""
        return self.labels_of(self.rows("train"))

    def train_batches(self, ranks: int = 1, rank: int = 0) -> EpochBatches:
        """The batches of one rank; raises InputError when rows or batch size cannot be shared out."""
        if self.batch_size % ranks:
            raise InputError(f"data.batch_size: expected a multiple of the {ranks} processes, got {self.batch_size}")
        rows = self.rows("train")
        if len(rows) < ranks:
            raise InputError(f"data: {len(rows)} training images are too few for {ranks} processes")
        extra = None
        if self.synthetic_fraction:
            count = round(len(rows) * self.synthetic_fraction / (1 - self.synthetic_fraction))
            extra = Extra(len(self.store), len(self.rendered), count)
        dealt = {"rank": rank, "ranks": ranks, "drop_last": self.drop_last, "extra": extra}
        return EpochBatches(rows, self.batch_size // ranks, shuffle=True, seed=self.seed, **dealt)

    def train_dataloader(self) -> DataLoader:
        batches = self.train_batches(*self._ranks())
        if self.trainer and self.trainer.overfit_batches:
            batches.shuffle = False  # the first batches of each epoch are then the same ones
        self._continue(batches)
        labels = self.store.labels
        if self.synthetic_fraction:
            assert labels is not None
            assert self.rendered.labels is not None
            labels = Joined([labels, self.rendered.labels])
        stages = [(until, self._training_images(size)) for until, size in self.progressive.items()]
        images = self._training_images(self.size)
        drawn = {"augmentation": self.augmentation, "seed": self.seed}
        return self._loader(batches, ImageDataset(images, labels, stages=stages, **drawn))

    def val_dataloader(self) -> DataLoader:
        return self.loader_of(self.rows("val"), *self._ranks())

    def loader_of(
        self, rows: np.ndarray, ranks: int = 1, rank: int = 0, *, augmented_as: int | None = None
    ) -> DataLoader:
        """The given rows once, in order, padded (labels -1) where ranks come short.

        augmented_as: the epoch whose augmentation they get; None: they come as they are.
        """
        if not len(rows):
            raise InputError(f"data.split: no images in this part of {self.store.path}")
        batch_size = max(1, 2 * self.batch_size // ranks)
        batches = EpochBatches(rows, batch_size, shuffle=False, seed=0, rank=rank, ranks=ranks)
        dataset = self._in_order()
        if augmented_as is not None:
            batches.set_epoch(augmented_as)
            dataset.augmentation, dataset.seed = self.augmentation, self.seed
        return self._loader(batches, dataset)

    def loader_of_images(self, store: Store) -> DataLoader:
        """Every image of another store, such as the test images, which may have no labels."""
        rows = np.arange(len(store.images))
        return self._loader(EpochBatches(rows, 2 * self.batch_size, shuffle=False, seed=0), self._in_order(store))

    def _in_order(self, store: Store | None = None) -> ImageDataset:
        """The images of a store, by default the data's own, as they are."""
        images = self.images if store is None else resized_images(store, self.size, crop=self.crop)
        return ImageDataset(images, (store or self.store).labels)

    def _training_images(self, size: tuple[int, int]) -> np.ndarray | Joined:
        """All images that training may ask for by row, at a size: the store's, then the rendered ones."""
        if size not in self._sized:  # kept, since of a store that cannot be written they are computed
            images = self.images if size == self.size else resized_images(self.store, size, crop=self.crop)
            if self.synthetic_fraction:
                images = Joined([images, resized_images(self.rendered, size, crop=self.crop)])
            self._sized[size] = images
        return self._sized[size]

    def _loader(self, batches: EpochBatches, dataset: Dataset) -> DataLoader:
        workers = worker_count(self.workers, self._on_cpu())
        return DataLoader(
            dataset,
            batch_sampler=batches,
            collate_fn=as_it_is,
            num_workers=workers,
            worker_init_fn=start_worker,
            persistent_workers=workers > 0,
            prefetch_factor=4 if workers else None,
            pin_memory=not self._on_cpu() and torch.cuda.is_available(),
        )

    def _ranks(self) -> tuple[int, int]:
        """Number of processes and the number of this one."""
        return (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)

    def _on_cpu(self) -> bool:
        return self.trainer is None or self.trainer.strategy.root_device.type == "cpu"

    def _continue(self, batches: EpochBatches) -> None:
        """Where a resumed run stands: its epoch, and the batches of it that lie behind.

        Set here, since loader workers fetch ahead before Lightning tells the sampler its epoch.
        """
        if self.trainer is None:
            return
        batches.set_epoch(self.trainer.fit_loop.epoch_progress.current.processed)
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.processed
        batches.skip = done if done < limited(len(batches), self.trainer) else 0


def limited(batches: int, trainer: pl.Trainer) -> int:
    """Training batches of one epoch and rank under the trainer's limits."""
    limit = trainer.overfit_batches or trainer.limit_train_batches  # fast_dev_run has set the latter, too
    return min(batches, limit) if isinstance(limit, int) else int(batches * limit)
