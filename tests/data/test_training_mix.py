"""Rendered images among real ones, and training images that grow: what the batches of a training hold."""

import numpy as np
import pytest
import torch

from okkhor.data.module import ImageData
from okkhor.data.resize import resize
from okkhor.data.synthetic import render_dataset
from okkhor.errors import InputError

HEADS = {
    "root": {"column": "grapheme_root", "classes": 168, "weight": 2},
    "vowel": {"column": "vowel_diacritic", "classes": 11},
    "consonant": {"column": "consonant_diacritic", "classes": 7},
}
SYNTHETIC = {"count": 64, "seed": 7, "files": 1, "test_count": 1, "workers": 1, "progress": False}


@pytest.fixture(scope="module")
def rendered_dir(tmp_path_factory):
    return render_dataset(tmp_path_factory.mktemp("rendered") / "set", **SYNTHETIC)


@pytest.fixture
def make(synthetic_dir, rendered_dir, tmp_path):
    def build(**options):
        given = {"source": "competition", "dir": str(synthetic_dir), "heads": HEADS, "workers": 0, "batch_size": 16}
        mixed = {"synthetic": SYNTHETIC, "synthetic_dir": str(rendered_dir), "cache_dir": str(tmp_path / "stores")}
        data = ImageData(**{**given, **mixed, "raw_size": (137, 236), "size": (20, 26), "drop_last": False, **options})
        data.prepare_data()
        return data

    return build


def epoch_of(data, epoch=0):
    """All images and labels of a training epoch, and the row numbers they were asked for by."""
    loader = data.train_dataloader()
    loader.batch_sampler.set_epoch(epoch)
    rows = np.concatenate([[row for _, row in items] for items in loader.batch_sampler])
    batches = list(loader)
    return rows, [images for images, _ in batches], torch.cat([labels for _, labels in batches]).numpy()


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_the_share_of_rendered_images_is_what_was_asked_for_and_all_real_ones_are_there(make, fraction):
    data = make(synthetic_fraction=fraction)
    rows, images, labels = epoch_of(data)
    rendered = rows >= 500
    assert rendered.mean() == pytest.approx(fraction, abs=1 / len(rows))
    assert sorted(rows[~rendered]) == sorted(data.rows("train"))
    pixels = torch.cat(images)[:, 0].numpy()
    for k in np.flatnonzero(rendered)[:20]:
        row = (rows[k] - 500) % 64
        assert np.array_equal(labels[k], data.rendered.labels[row])
        assert np.array_equal(pixels[k], resize(np.asarray(data.rendered.images[row]), (20, 26), crop=False))
    for k in np.flatnonzero(~rendered)[:20]:
        assert np.array_equal(labels[k], data.store.labels[rows[k]])


def test_rendered_images_are_augmented_each_time_in_their_own_way(make):
    seen = []

    def note(image, seeds):
        seen.append(tuple(seeds))
        return image

    data = make(synthetic_fraction=0.5, augmentation=note)  # as many as real ones, of 64
    epoch_of(data)
    assert len(set(seen)) == len(seen) == 2 * len(data.rows("train"))


def test_validation_stays_real_and_what_counts_as_unseen_too(make):
    plain, mixed = make(), make(synthetic_fraction=0.4)
    assert np.array_equal(plain.rows("val"), mixed.rows("val"))
    assert np.array_equal(plain.rows("unseen"), mixed.rows("unseen"))
    for (a, b), (c, d) in zip(plain.val_dataloader(), mixed.val_dataloader(), strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)


def test_the_rendered_set_is_made_when_it_is_not_there(make, tmp_path):
    data = make(synthetic_fraction=0.1, synthetic_dir=str(tmp_path / "new"))
    assert len(data.rendered) == 64
    assert (tmp_path / "new" / "train.csv").is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"source": "synthetic"}, "data.synthetic_fraction: .* not with synthetic; expected 0"),
        ({"source": "image_folder"}, "data.synthetic_fraction: .* not with image_folder"),
        ({"synthetic_dir": None}, "data.synthetic_dir"),
    ],
)
def test_what_cannot_be_mixed_is_refused(make, options, said):
    with pytest.raises(InputError, match=said):
        make(synthetic_fraction=0.2, **options)


def test_heads_that_rendered_images_lack_are_named(make, synthetic_dir, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    for file in synthetic_dir.iterdir():
        if file.name != "train.csv":
            (folder / file.name).symlink_to(file)
    text = (synthetic_dir / "train.csv").read_text()
    (folder / "train.csv").write_text(text.replace("consonant_diacritic", "sign", 1))
    heads = {**HEADS, "consonant": {"column": "sign", "classes": 7}}
    with pytest.raises(InputError, match="sign"):
        make(synthetic_fraction=0.2, heads=heads, dir=str(folder))


@pytest.mark.parametrize("workers", [0, 2])
def test_images_grow_by_the_epoch_and_validation_has_the_last_size(make, workers):
    data = make(progressive={3: (16, 22), 1: (10, 14)}, workers=workers, synthetic_fraction=0.1)
    sizes = []
    for epoch in range(5):
        rows, images, _ = epoch_of(data, epoch)
        sizes.append({tuple(batch.shape[2:]) for batch in images})
        size = next(iter(sizes[-1]))
        row = rows[0] if rows[0] < 500 else None
        if row is not None:
            assert np.array_equal(images[0][0, 0], resize(np.asarray(data.store.images[row]), size, crop=False))
    assert sizes == [{(10, 14)}, {(16, 22)}, {(16, 22)}, {(20, 26)}, {(20, 26)}]
    assert {tuple(images.shape[2:]) for images, _ in data.val_dataloader()} == {(20, 26)}
