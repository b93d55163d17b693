"""The Predictor: the same bytes as in training go in, answers derive from the heads, bad items harm nobody."""

import io
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from okkhor.data.module import ImageData
from okkhor.errors import InputError
from okkhor.labels import read_class_map
from okkhor.serving.answers import Answer, Refusal
from okkhor.serving.bundle import Bundle
from okkhor.serving.predictor import AT_ONCE, Predictor

HEADS = {
    "root": {"column": "grapheme_root", "classes": 168, "weight": 2},
    "vowel": {"column": "vowel_diacritic", "classes": 11},
    "consonant": {"column": "consonant_diacritic", "classes": 7},
}


@pytest.fixture(scope="module")
def predictor(handmade_bundle):
    return Predictor.load(handmade_bundle)


@pytest.fixture(scope="module")
def data(synthetic_dir, tmp_path_factory):
    """What a training on the synthetic images would see, of the bundle's size."""
    cache = tmp_path_factory.mktemp("stores")
    options = {"heads": HEADS, "raw_size": [137, 236], "size": [32, 48], "crop": True, "cache_dir": str(cache)}
    return ImageData(source="competition", dir=str(synthetic_dir), workers=0, **options)


def png(image):
    with io.BytesIO() as file:
        Image.fromarray(image).save(file, "PNG")
        return file.getvalue()


def test_the_network_sees_the_bytes_that_training_saw(predictor, data):
    batches = [images for images, _ in data.loader_of(data.rows("all"))]
    seen = np.concatenate([batch.numpy() for batch in batches])[:, 0]
    assert len(seen) == 500
    for scan, wanted in zip(data.store.images, seen, strict=True):
        scan = np.asarray(scan)
        assert (predictor.prepare(scan) == wanted).all()
        assert (predictor.decode(png(scan)) == wanted).all()
        assert (predictor.decode(scan) == wanted).all()
        assert (predictor.decode(255 - scan) == wanted).all()


def test_answers_derive_from_the_probabilities(predictor, data):
    scans = [np.asarray(scan) for scan in data.store.images[:20]]
    found = predictor.predict([png(scan) for scan in scans], top=3, explain=True)
    probabilities, maps = predictor.run(np.stack([predictor.decode(scan) for scan in scans])[:, None])
    names = read_class_map()
    for row, one in enumerate(found):
        assert isinstance(one, Answer)
        shown = one.as_json()
        best = [int(head[row].argmax()) for head in probabilities]
        assert shown["grapheme"] == names.compose(*best)
        sure = np.prod([head[row].max() for head in probabilities])
        assert shown["confidence"] == pytest.approx(sure, abs=1e-6)
        for (name, choices), head in zip(shown["heads"].items(), probabilities, strict=True):
            assert len(choices) == 3
            assert [choice["class"] for choice in choices] == np.argsort(-head[row], kind="stable")[:3].tolist()
            texts = names.names[HEADS[name]["column"]]
            assert all(choice["text"] == texts[choice["class"]] for choice in choices)
            assert [c["probability"] for c in choices] == pytest.approx(np.sort(head[row])[::-1][:3], abs=1e-6)
        assert shown["model"] == {"name": "okkhor", "version": "1.0", "format": "onnx"}
        assert shown["milliseconds"] > 0
        for (name, rows), one_map in zip(shown["activation_maps"].items(), maps[row], strict=True):
            assert name in HEADS
            assert np.array(rows) == pytest.approx(one_map, abs=5.1e-5)


def test_maps_are_there_only_when_asked_for(predictor, data):
    (one,) = predictor.predict([np.asarray(data.store.images[0])])
    assert "activation_maps" not in one.as_json()
    assert len(one.heads["root"]) == 5


def test_more_is_asked_than_there_are_classes(predictor, data):
    (one,) = predictor.predict([np.asarray(data.store.images[0])], top=999)
    assert [len(choices) for choices in one.heads.values()] == [168, 11, 7]


def test_a_bad_item_harms_no_other(predictor, data):
    good = [np.asarray(scan) for scan in data.store.images[:3]]
    mixed = [b"nothing", png(good[0]), np.full((50, 50), 255, np.uint8), good[1], None, good[2]]
    found = predictor.predict(mixed)
    assert [one.code if isinstance(one, Refusal) else 200 for one in found] == [400, 200, 422, 200, 400, 200]
    alone = predictor.predict(good)
    assert [one.heads for one in found if isinstance(one, Answer)] == [one.heads for one in alone]
    assert set(found[0].as_json()) == {"code", "type", "message"}
    assert predictor.predict([]) == []
    assert isinstance(predictor.predict([b"nothing"])[0], Refusal)


def test_batches_of_any_length_answer_as_single_images_do(predictor, data):
    scans = [np.asarray(scan) for scan in data.store.images[: AT_ONCE + 5]]
    together = predictor.predict(scans, top=1)
    for scan, one in zip(scans[-10:], together[-10:], strict=True):
        (single,) = predictor.predict([scan], top=1)
        assert single.grapheme == one.grapheme
        assert single.confidence == pytest.approx(one.confidence, rel=1e-4)


def test_other_sizes_are_read_much_as_the_same_image(predictor, data):
    """Twice as large, on a square sheet: what the network sees differs by interpolation and a slight shift."""
    alike, differing = [], []
    for scan in data.store.images[:40]:
        scan = np.asarray(scan)
        wanted = predictor.prepare(scan)
        twice = np.repeat(np.repeat(scan, 2, 0), 2, 1)
        differing.append(np.abs(predictor.decode(twice).astype(int) - wanted).mean())
        sheet = np.full((472, 472), int(np.median(scan)), np.uint8)
        sheet[110:368, 10:-10] = twice[8:-8, 10:-10]  # without the scan's dark edges, which a sheet has elsewhere
        blurred = [cv2.blur(image, (3, 3)).ravel() for image in (predictor.decode(sheet), wanted)]
        alike.append(np.corrcoef(blurred)[0, 1])
    assert np.median(differing) < 4  # small letters are magnified on a sheet of another size, not in a scan
    assert np.median(alike) > 0.85


def test_data_that_is_no_letters_keeps_its_tones(handmade_bundle, tmp_path):
    """Class folders are trained on as they are: a bundle of theirs inverts and lightens nothing."""
    import yaml

    folder = tmp_path / "bundle"
    shutil.copytree(handmade_bundle, folder)
    described = yaml.safe_load((folder / "bundle.yaml").read_text())
    described["graphemes"] = None
    described["input"]["crop"] = False
    (folder / "bundle.yaml").write_text(yaml.safe_dump(described, sort_keys=False))
    predictor = Predictor.load(folder)
    dark = np.full((137, 137), 20, np.uint8)
    dark[50:60] = 200
    seen = predictor.decode(png(dark))
    assert seen[:, 0].min() == 255
    assert seen[0, 24] == 20
    assert seen.max() == 255
    (one,) = predictor.predict([dark])
    assert one.grapheme is None
    assert one.text
    assert predictor.predict([np.full((50, 50), 9, np.uint8)])[0].grapheme is None


def test_a_bundle_that_is_open_can_be_handed_over(handmade_bundle):
    assert Predictor.load(Bundle.open(handmade_bundle), "onnx").format == "onnx"


@pytest.mark.parametrize("format", ["onnx_int8", "pickle"])
def test_a_format_that_is_not_there_is_refused(handmade_bundle, format):
    with pytest.raises(InputError, match=format):
        Predictor.load(handmade_bundle, format)


@pytest.mark.real
def test_real_scans_are_never_refused_or_inverted(predictor, tmp_path):
    import os

    from okkhor.data.store import competition_store
    from okkhor.heads import Heads
    from okkhor.serving.paper import dark_on_light

    folder = os.environ.get("OKKHOR_REAL_DATA")
    if not folder:
        pytest.skip("OKKHOR_REAL_DATA names no folder")
    images = competition_store(folder, Heads.from_config(HEADS), cache_dir=tmp_path, progress=False).images
    for scan in images[::5]:
        scan = np.asarray(scan)
        assert dark_on_light(scan) is scan
        assert (dark_on_light(255 - scan) == scan).all()
