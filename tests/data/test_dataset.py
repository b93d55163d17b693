import numpy as np
import torch
from torch.utils.data import DataLoader

from okkhor.augment.image import ImagePipeline
from okkhor.data.dataset import ImageDataset, as_it_is
from okkhor.data.sampling import PADDING, EpochBatches

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 20, 36), np.uint8)
LABELS = np.random.default_rng(1).integers(0, 5, (30, 2))


def augmented(**options):
    pipeline = ImagePipeline([{"Affine": {"rotate": [-30, 30], "p": 0.9}}, {"GaussNoise": {"p": 0.5}}])
    return ImageDataset(IMAGES, LABELS, augmentation=pipeline, seed=7, **options)


def test_batch_is_what_contract_two_says():
    images, labels = ImageDataset(IMAGES, LABELS).__getitems__([(0, 3), (0, 1)])
    assert images.shape == (2, 1, 20, 36)
    assert images.dtype == torch.uint8
    assert labels.tolist() == LABELS[[3, 1]].tolist()
    assert (images[0, 0].numpy() == IMAGES[3]).all()


def test_padding_is_blank_and_masked_and_labels_of_the_store_stay():
    before = LABELS.copy()
    images, labels = ImageDataset(IMAGES, LABELS).__getitems__([(0, 3), (0, PADDING)])
    assert (images[1] == 255).all()
    assert labels[1].tolist() == [-1, -1]
    assert (before == LABELS).all()


def test_without_labels_there_are_no_columns():
    _, labels = ImageDataset(IMAGES, None).__getitems__([(0, 3)])
    assert labels.shape == (1, 0)


def test_augmentation_follows_from_seed_epoch_and_row_alone():
    alone = augmented().__getitems__([(2, 5)])[0][0]
    among = augmented().__getitems__([(2, 9), (2, 5), (2, 1)])[0][1]
    assert torch.equal(alone, among)
    assert not torch.equal(alone, augmented().__getitems__([(3, 5)])[0][0])


def test_number_of_workers_changes_nothing():
    def epoch(workers):
        batches = EpochBatches(np.arange(30), 8, shuffle=True, seed=7)
        loader = DataLoader(augmented(), batch_sampler=batches, collate_fn=as_it_is, num_workers=workers)
        return torch.cat([images for images, _ in loader])

    assert torch.equal(epoch(0), epoch(2))
