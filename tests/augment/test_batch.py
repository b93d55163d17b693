import pytest
import torch

from okkhor.augment.batch import BatchAugmentation, CutMix, MixedLabels


def drawn(batch=6, p=1.0, seed=0, dtype=torch.uint8):
    # image k is filled with k alone, so that every pixel tells where it comes from
    images = torch.arange(batch, dtype=dtype).view(-1, 1, 1, 1).expand(batch, 1, 24, 40).clone()
    labels = torch.stack([torch.arange(batch), torch.arange(batch) * 2], 1)
    before = images.clone()
    mixed, targets = CutMix(1.0, p)(images, labels, torch.Generator().manual_seed(seed))
    assert torch.equal(images, before)
    return images, labels, mixed, targets


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_share_is_that_of_the_unmixed_pixels_for_every_head(seed, dtype):
    images, labels, mixed, targets = drawn(seed=seed, dtype=dtype)
    assert mixed.dtype == dtype
    partner = targets.b[:, 0]
    assert torch.equal(targets.b, labels[partner])
    assert torch.equal(targets.a, labels)
    from_other = (mixed == partner.view(-1, 1, 1, 1).to(dtype)) & (mixed != images)
    kept = 1 - from_other.float().mean((1, 2, 3))
    foreign = partner != labels[:, 0]
    assert torch.allclose(kept[foreign], targets.lam[foreign])


def test_never_is_the_identity():
    images, labels, mixed, targets = drawn(p=0.0)
    assert torch.equal(mixed, images)
    assert torch.equal(targets, labels)


def test_same_generator_state_same_batch_and_a_batch_of_one_works():
    first, second = drawn(seed=3), drawn(seed=3)
    assert torch.equal(first[2], second[2])
    assert torch.equal(first[3].lam, second[3].lam)
    assert drawn(batch=1)[3].lam.shape == (1,)


def test_dominant_labels_are_those_with_the_larger_share():
    a, b = torch.tensor([[1, 2], [3, 4]]), torch.tensor([[5, 6], [7, 8]])
    assert MixedLabels(a, b, torch.tensor([0.7, 0.2])).dominant().tolist() == [[1, 2], [7, 8]]


@pytest.mark.parametrize("arguments", [{"alpha": 0}, {"alpha": -1}, {"p": 1.5}, {"p": -0.1}])
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        CutMix(**arguments)


def test_an_augmentation_must_say_what_it_does():
    with pytest.raises(NotImplementedError, match="BatchAugmentation"):
        BatchAugmentation()(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1), torch.Generator())
