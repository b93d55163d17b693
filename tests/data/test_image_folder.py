"""Any folder of class folders becomes a store of gray images of one size."""

import numpy as np
import pytest
from PIL import Image

from okkhor.data.folds import folds_of
from okkhor.data.image_folder import image_folder_store
from okkhor.data.layout import Store
from okkhor.errors import InputError

SIZE = (20, 30)


def save(path, pixels, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8), mode).save(path, **options)


@pytest.fixture
def folder(tmp_path):
    """Two classes, of two shades; several formats, nested folders, and things that are no images."""
    root = tmp_path / "flowers"
    save(root / "rose" / "a.png", np.full((20, 30), 40))
    save(root / "rose" / "deep" / "er" / "b.bmp", np.full((20, 30, 3), 40))
    save(root / "daisy" / "c.JPG", np.full((40, 60, 3), 200), quality=95)
    save(root / "daisy" / "d.webp", np.full((40, 60, 3), 200), lossless=True)
    (root / "daisy" / "notes.txt").write_text("no image")
    (root / "readme.md").write_text("no class")
    save(root / ".hidden" / "e.png", np.zeros((5, 5)))
    save(root / "rose" / ".thumbnails" / "f.png", np.zeros((5, 5)))
    return root


def build(root, size=SIZE, **options):
    return image_folder_store(root, size=size, progress=False, **options)


def test_classes_are_the_folders_in_order(folder):
    store, names = build(folder)
    assert names == store.class_names == ["daisy", "rose"]
    assert store.image_ids == ["daisy/c.JPG", "daisy/d.webp", "rose/a.png", "rose/deep/er/b.bmp"]
    assert store.labels.tolist() == [[0], [0], [1], [1]]
    assert store.columns == ["label"]
    assert store.images.shape == (4, *SIZE)
    shades = store.images.reshape(4, -1).astype(int)
    assert np.abs(shades - np.array([[200], [200], [40], [40]])).max() <= 2
    assert Store.open(store.path).class_names == names


def test_scaled_to_fit_and_padded_with_paper(folder):
    save(folder / "rose" / "wide.png", np.zeros((10, 100)))
    save(folder / "rose" / "tall.png", np.zeros((100, 10)))
    save(folder / "rose" / "tiny.png", np.zeros((1, 1)))
    store, _ = build(folder)
    images = dict(zip(store.image_ids, store.images, strict=True))
    wide = images["rose/wide.png"] == 0
    assert wide[8:11].all()
    assert (images["rose/wide.png"][~wide] == 255).all()
    assert wide.sum() == 3 * 30
    tall = images["rose/tall.png"] == 0
    assert tall[:, 14:16].all()
    assert tall.sum() == 2 * 20
    assert (images["rose/tiny.png"] == 0).sum() == 20 * 20


def test_images_of_the_wanted_size_are_kept_bit_for_bit(folder):
    pixels = np.random.default_rng(0).integers(0, 256, SIZE, dtype=np.uint8)
    save(folder / "rose" / "exact.png", pixels)
    store, _ = build(folder)
    assert np.array_equal(store.images[store.image_ids.index("rose/exact.png")], pixels)


@pytest.mark.parametrize(
    ("make", "shade"),
    [
        (lambda: Image.new("RGBA", (30, 20), (0, 0, 0, 0)), 255),
        (lambda: Image.new("LA", (30, 20), (0, 0)), 255),
        (lambda: Image.new("1", (30, 20), 1), 255),
        (lambda: Image.new("P", (30, 20), 0), 0),
        (lambda: Image.fromarray(np.full((20, 30), 0x8000, np.uint16)), 128),
    ],
)
def test_any_kind_of_pixel_becomes_gray(folder, make, shade):
    make().save(folder / "rose" / "other.png")
    store, _ = build(folder)
    assert np.abs(store.images[store.image_ids.index("rose/other.png")].astype(int) - shade).max() <= 1


def test_photographs_are_turned_upright(folder):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    pixels = np.full((30, 20, 3), 255, np.uint8)
    pixels[:, :10] = 0  # left half dark; upright: upper half
    Image.fromarray(pixels).save(folder / "rose" / "turned.jpg", exif=exif, quality=95)
    store, _ = build(folder)
    image = store.images[store.image_ids.index("rose/turned.jpg")]
    assert image[:8].mean() < 20
    assert image[12:].mean() > 235


def test_built_once_and_anew_when_an_image_changes(folder):
    first, _ = build(folder)
    assert build(folder)[0].path == first.path
    save(folder / "rose" / "a.png", np.full((20, 30), 41))
    save(folder / "rose" / "g.png", np.full((20, 30), 42))
    second, _ = build(folder)
    assert second.key != first.key
    assert build(folder, size=(10, 10))[0].key != second.key


def test_folds_stratify_the_classes(folder):
    for k in range(18):
        save(folder / "daisy" / f"{k}.png", np.full((5, 5), k))
        save(folder / "rose" / f"{k}.png", np.full((5, 5), k))
    store, _ = build(folder)
    folds = folds_of(store, 5)
    for label in (0, 1):
        assert np.bincount(folds[store.labels[:, 0] == label], minlength=5).tolist() == [4] * 5


def test_refusals_name_what_is_wrong(folder, tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such folder"):
        build(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"s3://flowers/all: .*local folder"):
        build("s3://flowers/all")
    with pytest.raises(InputError, match=r"rose: 1 class folders; expected at least 2"):
        build(folder / "rose")
    (folder / "tulip").mkdir()
    with pytest.raises(InputError, match=r"tulip: no image in this class folder"):
        build(folder)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n\x00\x00"])
def test_an_image_that_cannot_be_read_is_named_and_leaves_no_store(folder, content):
    (folder / "rose" / "z.png").write_bytes(content)
    with pytest.raises(InputError, match=r"rose/z\.png: cannot be read as an image") as refusal:
        build(folder)
    assert "\n" not in str(refusal.value)
    assert not [path for path in (folder / ".okkhor").iterdir() if path.is_dir()]


def test_an_image_cut_off_is_refused(folder):
    path = folder / "rose" / "a.png"
    save(path, np.random.default_rng(0).integers(0, 256, (50, 50)))
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(InputError, match=r"rose/a\.png"):
        build(folder)
