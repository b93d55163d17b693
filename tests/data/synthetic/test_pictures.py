"""Printed text and contact sheets."""

import cv2
import numpy as np
import pytest

from okkhor.data.synthetic import contact_sheet, render_text
from okkhor.errors import InputError


@pytest.mark.parametrize("size", [(24, 24), (64, 256), (200, 40)])
def test_text_fits_the_paper_and_fills_it(size):
    image = render_text("স্ত্রী", size)
    assert image.shape == size
    assert image.dtype == np.uint8
    rows, columns = np.flatnonzero((image < 128).any(1)), np.flatnonzero((image < 128).any(0))
    assert max(np.ptp(rows) / size[0], np.ptp(columns) / size[1]) > 0.6
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    assert (border == 255).all()


def test_text_is_shaped_and_not_a_row_of_letters():
    conjunct, letters = render_text("ক্ষ", (80, 300)), render_text("কষ", (80, 300))
    width = [np.ptp(np.flatnonzero((image < 128).any(0))) for image in (conjunct, letters)]
    assert width[0] < 0.8 * width[1]


@pytest.mark.parametrize("text", ["", "漢字"])
def test_text_that_cannot_be_written_gives_empty_paper(text):
    assert (render_text(text, (20, 30)) == 255).all()


def test_a_sheet_shows_the_images_in_reading_order(tmp_path):
    images = np.stack([np.full((10, 20), tone, np.uint8) for tone in range(0, 250, 50)])
    path = contact_sheet(tmp_path / "deep" / "sheet.png", images, columns=2, rows=8)
    sheet = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert sheet.shape == (3 * 14 - 4, 2 * 24 - 4)
    assert [int(sheet[y, x]) for y in (5, 19, 33) for x in (5, 30)][:5] == [0, 50, 100, 150, 200]
    assert [file.name for file in path.parent.iterdir()] == ["sheet.png"]


def test_captions_are_drawn_on_their_images(tmp_path):
    images = np.full((2, 60, 100), 200, np.uint8)
    sheet = cv2.imread(
        str(contact_sheet(tmp_path / "s.png", images, columns=2, captions=["ক", ""])), cv2.IMREAD_GRAYSCALE
    )
    assert sheet[:12, :25].min() < 100
    assert sheet[:, 104:].min() == 200


@pytest.mark.parametrize("images", [np.zeros((0, 5, 5), np.uint8), np.zeros((5, 5), np.uint8)])
def test_nothing_to_show_is_refused(tmp_path, images):
    with pytest.raises(InputError, match="contact sheet"):
        contact_sheet(tmp_path / "s.png", images)


def test_a_folder_without_data_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        contact_sheet(tmp_path / "s.png", tmp_path)
