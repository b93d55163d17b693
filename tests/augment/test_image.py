from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from okkhor.augment.image import ImagePipeline
from okkhor.augment.randaugment import randaugment
from okkhor.errors import InputError

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "aug"
LISTS = {
    path.stem: OmegaConf.to_container(OmegaConf.load(path))["image"]
    for path in sorted(CONFIGS.glob("*.yaml"))
    if "image" in OmegaConf.load(path)
}
IMAGE = np.random.default_rng(0).integers(0, 256, (48, 84), np.uint8)


def test_same_seed_same_image_other_seed_another_and_input_stays():
    before = IMAGE.copy()
    pipeline = ImagePipeline([{"Affine": {"rotate": [-20, 20], "p": 1.0}}])
    first = pipeline(IMAGE, [0, 1, 2])
    assert first.dtype == np.uint8
    assert first.shape == IMAGE.shape
    assert (pipeline(IMAGE, [0, 1, 2]) == first).all()
    assert (pipeline(IMAGE, [0, 1, 3]) != first).any()
    assert (before == IMAGE).all()


def test_no_transform_is_the_identity():
    assert (ImagePipeline([])(IMAGE, [0]) == IMAGE).all()


@pytest.mark.parametrize(
    ("transforms", "said"),
    [
        ([{"Afine": {}}], "Afine"),
        ([{"Affine": {"rotat": [1, 2]}}], "rotat"),
        ([{"Affine": {"p": 7}}], r"aug.image\[0\].Affine"),
        ([{"Affine": None, "Rotate": None}], "one transform"),
        (["Affine"], "one transform"),
        ([{"Compose": {}}], "no albumentations transform"),
        ([{"OneOf": {"p": 0.5}}], r"aug.image\[0\].OneOf.transforms: expected a list"),
        ([{"OneOf": {"transforms": [{"Blur": {}}, {"Blurr": {}}]}}], r"aug.image\[0\].OneOf\[1\]: 'Blurr'"),
        ([{"SomeOf": {"m": 3, "transforms": [{"Blur": {}}]}}], "unknown argument 'm'"),
        ([{"RandAugment": {"n": 0}}], "RandAugment: n: expected"),
        ([{"RandAugment": {"magnitude": 31}}], "RandAugment: magnitude: expected"),
        ([{"RandAugment": {"strength": 3}}], "strength"),
    ],
)
def test_wrong_transform_is_refused_by_key(transforms, said):
    with pytest.raises(InputError, match=said):
        ImagePipeline(transforms)


@pytest.mark.parametrize("name", LISTS)
def test_every_list_keeps_shape_and_input_draws_from_the_seed_and_leaves_paper_light(name):
    paper = np.full((48, 84), 250, np.uint8)
    paper[10:38, 20:60:6] = 30  # strokes
    pipeline, before = ImagePipeline(LISTS[name]), paper.copy()
    changed = 0
    for seed in range(40):
        drawn = pipeline(paper, [seed])
        assert (drawn.shape, drawn.dtype) == (paper.shape, np.uint8)
        assert (pipeline(paper, [seed]) == drawn).all()
        changed += (drawn != paper).any()
    assert (paper == before).all()
    assert changed == 0 if name == "none" else changed > 10
    borders = [pipeline(paper, [seed])[[0, -1]].mean() for seed in range(40)]
    assert np.median(borders) > 200  # what comes in from outside is paper, not black


@pytest.mark.parametrize("magnitude", [0, 3, 9, 30])
def test_randaugment_grows_with_its_magnitude(magnitude):
    def change(at):
        pipeline = ImagePipeline([{"RandAugment": {"n": 2, "magnitude": at}}])
        tones = IMAGE // 2 + 60
        return np.mean([np.abs(pipeline(tones, [seed]).astype(int) - tones).mean() for seed in range(60)])

    assert change(magnitude) <= change(min(30, magnitude + 10)) + 3


def test_randaugment_stands_for_its_operations():
    spelled_out = ImagePipeline([randaugment(3, 12)])
    for seed in range(10):
        assert (
            ImagePipeline([{"RandAugment": {"n": 3, "magnitude": 12}}])(IMAGE, [seed]) == spelled_out(IMAGE, [seed])
        ).all()
