"""Which tone is ink, and what photographs and small drawings need; scans pass through untouched."""

import cv2
import numpy as np
import pytest

from okkhor.data.resize import ink_box
from okkhor.data.store import competition_store
from okkhor.heads import Heads
from okkhor.serving.answers import Refused
from okkhor.serving.paper import dark_on_light, darkened, evenly_lit, magnified

HEADS = Heads.from_config({"root": {"column": "grapheme_root", "classes": 168}})
SIZE = (137, 236)


@pytest.fixture(scope="module")
def scans(synthetic_dir, tmp_path_factory):
    store = competition_store(synthetic_dir, HEADS, cache_dir=tmp_path_factory.mktemp("stores"), progress=False)
    return np.array(store.images[:300])


def around_ink(scan):
    top, left, bottom, right = ink_box(scan)
    return scan[max(0, top - 3) : bottom + 3, max(0, left - 3) : right + 3]


def bold(scan):
    return cv2.erode(scan, np.ones((7, 7)))


def photographed(scan, seed=0, *, tone=190.0, fall=0.5, vignette=0.0, noise=3.0):
    """On paper of a tone, lit from one side, darker in the corners, grainy."""
    random = np.random.default_rng(seed)
    height, width = 2 * scan.shape[0], 2 * scan.shape[1]
    ink = cv2.resize(scan, (width, height), interpolation=cv2.INTER_CUBIC) / 255
    down, across = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
    angle = random.uniform(0, 2 * np.pi)
    light = 1 - fall * (np.cos(angle) * across + np.sin(angle) * down + 0.5) - vignette * (down**2 + across**2)
    shown = tone * light * (0.25 + 0.75 * ink) + random.normal(0, noise, (height, width))
    return np.clip(shown, 0, 255).astype(np.uint8)


def test_scans_pass_through_as_they_are(scans):
    for scan in scans:
        assert dark_on_light(scan) is scan
        assert evenly_lit(scan) is scan
    assert np.mean([darkened(scan) is scan for scan in scans]) > 0.99


VIEWS = {
    "scan": lambda scan: scan,
    "cut to the ink": around_ink,
    "bold": bold,
    "bold and cut": lambda s: around_ink(bold(s)),
}


@pytest.mark.parametrize("view", VIEWS)
def test_ink_is_found_dark_or_light(scans, view):
    for scan in scans:
        seen = VIEWS[view](scan)
        assert (dark_on_light(seen) == seen).all()
        assert (dark_on_light(255 - seen) == seen).all()


LIGHTS = {
    "from a side": {},
    "steep": {"fall": 0.7},
    "dark room": {"tone": 110.0},
    "corners": {"fall": 0.1, "vignette": 1.2},
}


@pytest.mark.parametrize("light", LIGHTS)
def test_photographs_become_like_scans(scans, light):
    """Which tone is ink is found, and ink and paper are then told apart by one threshold, as in a scan."""
    agreement, told = [], []
    for seed, scan in enumerate(scans[:60]):
        photograph = photographed(scan, seed, **LIGHTS[light])
        told += [dark_on_light(photograph) is photograph, (dark_on_light(255 - photograph) == photograph).all()]
        found = cv2.resize(evenly_lit(photograph), SIZE[::-1], interpolation=cv2.INTER_AREA) < 150
        truth = scan < 150
        agreement.append((found & truth).sum() / (found | truth).sum())
    assert np.mean(told) > 0.95
    assert np.median(agreement) > 0.75


def test_pale_ink_is_darkened(scans):
    pale = (200 + scans[0].astype(np.float32) * 50 / 255).astype(np.uint8)
    dark = darkened(pale)
    assert dark.min() < 20
    assert abs(int(np.median(dark)) - int(np.median(pale))) < 5


@pytest.mark.parametrize("side", [700, 1500])
def test_a_small_letter_on_a_large_sheet_is_magnified(scans, side):
    for scan in scans[:20]:
        paper = int(np.median(scan))
        sheet = np.full((side, side), paper, np.uint8)
        core = scan[8:-8, 8:-8]
        sheet[300 : 300 + core.shape[0], 400 : 400 + core.shape[1]] = core
        part = magnified(sheet, SIZE)
        assert part.size < sheet.size / 4
        assert (part < 128).sum() >= 0.98 * (core < 128).sum()


def test_letters_large_enough_stay_where_they_are(scans):
    kept = [magnified(scan, SIZE) is scan for scan in scans if (ink_box(scan)[2] - ink_box(scan)[0]) > 0.5 * SIZE[0]]
    assert len(kept) > 50
    assert np.mean(kept) > 0.98


def test_paper_alone_is_no_letter():
    noise = np.random.default_rng(0).normal(240, 4, (200, 300)).clip(0, 255).astype(np.uint8)
    with pytest.raises(Refused):
        dark_on_light(noise)
