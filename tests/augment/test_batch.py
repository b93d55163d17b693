"""The contract of every batch augmentation, by the ones that configs/aug names and each by itself."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from okkhor.augment.batch import BatchAugmentation, MixedLabels, Mixing
from okkhor.augment.cutmix import CutMix
from okkhor.augment.fmix import FMix
from okkhor.augment.mixup import MixUp
from okkhor.augment.one_of import OneOf

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "aug"
CONFIGURED = {path.stem: OmegaConf.load(path).get("batch") for path in sorted(CONFIGS.glob("*.yaml"))}
CONFIGURED = {name: block for name, block in CONFIGURED.items() if block}
MIXING = {
    "cutmix": CutMix, "mixup": MixUp, "fmix": FMix, "fmix alpha 0.2": lambda p: FMix(0.2, p),
    "one of": lambda p: OneOf([CutMix(1.0, 1.0), MixUp(0.4, 1.0), FMix(1.0, 1.0)], p, [3, 2, 1]),
    **{f"aug={name}": lambda p, block=block: instantiate({**block, "p": p}) for name, block in CONFIGURED.items()},
}  # fmt: skip
PRESENT = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
DEVICES = [name for name, here in PRESENT.items() if here]
HEADS = (40, 80)


def make(name, p=1.0):
    kind = MIXING[name]
    return kind(p=p) if isinstance(kind, type) else kind(p)


def drawn(name, batch=6, p=1.0, seed=0, dtype=torch.uint8, device="cpu"):
    # image k is filled with 10 k alone, so that every pixel tells where it comes from
    images = (10 * torch.arange(batch, dtype=dtype, device=device)).view(-1, 1, 1, 1).expand(batch, 1, 24, 40).clone()
    rows = torch.arange(batch, device=device)
    labels = torch.stack([rows, rows * 2], 1)
    before = images.clone(), labels.clone()
    mixed, targets = make(name, p)(images, labels, torch.Generator().manual_seed(seed))
    assert torch.equal(images, before[0])
    assert torch.equal(labels, before[1])
    return images, labels, mixed, targets


every = pytest.mark.parametrize("name", MIXING)


@every
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_the_share_of_every_head_is_that_of_the_unmixed_pixels(name, dtype, device):
    mixed_ones = 0
    for seed in range(25):
        images, labels, mixed, targets = drawn(name, seed=seed, dtype=dtype, device=device)
        assert mixed.shape == images.shape
        assert mixed.dtype in (dtype, torch.float32)
        assert mixed.device == images.device
        partner = targets.b[:, 0]
        assert torch.equal(targets.b, labels[partner])
        assert torch.equal(targets.a, labels)
        own, other = 10.0 * labels[:, 0], 10.0 * partner
        foreign = own != other
        # of 1 where a pixel is the image's own to 0 where it is its partner's
        kept = ((mixed.double().mean((1, 2, 3)) - other) / (own - other))[foreign]
        assert torch.allclose(kept, targets.lam[foreign].double(), atol=1e-6)
        mixed_ones += int(((targets.lam > 0) & (targets.lam < 1)).sum())
    assert mixed_ones > 25 * 6 / 2


@every
def test_targets_of_each_head_sum_to_one(name):
    *_, targets = drawn(name, seed=4)
    for column, classes in enumerate(HEADS):
        a, b = (torch.nn.functional.one_hot(x[:, column], classes) for x in (targets.a, targets.b))
        soft = targets.lam.unsqueeze(1) * a + (1 - targets.lam.unsqueeze(1)) * b
        assert torch.allclose(soft.sum(1), torch.ones(len(soft)))
        assert (soft >= 0).all()


@every
def test_never_is_the_identity(name):
    images, labels, mixed, targets = drawn(name, p=0.0)
    assert torch.equal(mixed, images)
    assert torch.equal(targets, labels)


@every
def test_p_is_the_share_of_batches_that_are_mixed(name):
    count = sum(isinstance(drawn(name, p=0.3, seed=seed)[3], MixedLabels) for seed in range(300))
    assert 0.2 * 300 < count < 0.4 * 300  # nearly four standard deviations on either side


@every
def test_the_same_seed_draws_the_same_and_another_another(name):
    first, second = drawn(name, seed=3), drawn(name, seed=3)
    assert torch.equal(first[2], second[2])
    assert torch.equal(first[3].lam, second[3].lam)
    assert any(not torch.equal(first[2], drawn(name, seed=seed)[2]) for seed in range(4, 7))


@every
def test_the_global_generator_is_left_alone(name):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    drawn(name)
    assert torch.equal(torch.get_rng_state(), before)


@every
def test_a_batch_of_one_stays_itself(name):
    images, labels, mixed, targets = drawn(name, batch=1)
    assert torch.allclose(mixed.float(), images.float())
    assert torch.equal(targets.a, labels)
    assert torch.equal(targets.b, labels)


@pytest.mark.parametrize("seed", range(20))
def test_the_pasted_box_of_cutmix_is_one_rectangle(seed):
    _, _, mixed, targets = drawn("cutmix", seed=seed)
    changed = (mixed[:, 0] != 10 * torch.arange(6).view(-1, 1, 1)) & (targets.b[:, 0] != torch.arange(6)).view(-1, 1, 1)
    for box in changed[changed.any((1, 2))]:
        rows, columns = box.any(1), box.any(0)
        assert torch.equal(box, rows.unsqueeze(1) & columns)
        for line in (rows, columns):
            inside = line.nonzero().flatten()
            assert len(inside) == inside[-1] - inside[0] + 1


def test_patches_of_fmix_are_fewer_with_a_higher_decay():
    def borders(decay):
        total = 0
        for seed in range(20):
            images = torch.zeros(2, 1, 48, 64, dtype=torch.uint8)
            images[1] = 1
            labels = torch.tensor([[0], [1]])
            mixed, targets = FMix(1.0, 1.0, decay)(images, labels, torch.Generator().manual_seed(seed))
            assert isinstance(targets, MixedLabels)
            total += int((mixed[0].diff(dim=-1) != 0).sum())
        return total

    assert borders(1.0) > 2 * borders(2.0) > 2 * borders(4.0)


def test_one_of_draws_by_weight():
    seen = [type(drawn_from(seed)) for seed in range(200)]
    assert 0.6 * 200 < seen.count(int) < 0.9 * 200


def drawn_from(seed):
    class Says(BatchAugmentation):
        def __init__(self, word):
            self.word = word

        def __call__(self, images, labels, generator):
            return self.word, labels

    return OneOf([Says(1), Says("two")], weights=[3, 1])(None, None, torch.Generator().manual_seed(seed))[0]


def test_dominant_labels_are_those_with_the_larger_share():
    a, b = torch.tensor([[1, 2], [3, 4]]), torch.tensor([[5, 6], [7, 8]])
    assert MixedLabels(a, b, torch.tensor([0.7, 0.2])).dominant().tolist() == [[1, 2], [7, 8]]


@pytest.mark.parametrize("kind", [CutMix, MixUp, FMix])
@pytest.mark.parametrize("arguments", [{"alpha": 0}, {"alpha": -1}, {"p": 1.5}, {"p": -0.1}])
def test_impossible_settings_are_refused(kind, arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        kind(**arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"choices": []}, "choices"), ({"choices": [CutMix()], "weights": [1, 2]}, "weights"),
     ({"choices": [CutMix()], "weights": [0]}, "weights"), ({"choices": [CutMix()], "p": 2}, "p")],
)  # fmt: skip
def test_impossible_choices_are_refused(arguments, said):
    with pytest.raises(ValueError, match=f"^{said}: "):
        OneOf(**arguments)
    with pytest.raises(ValueError, match=r"^decay: "):
        FMix(decay=0)


def test_an_augmentation_must_say_what_it_does():
    batch = torch.zeros(1, 1, 2, 2), torch.zeros(1, 1), torch.Generator()
    with pytest.raises(NotImplementedError, match="BatchAugmentation"):
        BatchAugmentation()(*batch)
    with pytest.raises(NotImplementedError, match="Mixing"):
        Mixing(p=1.0)(*batch)
