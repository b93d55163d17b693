"""Ink and paper: which tone is the ink, is there any, is the paper as white and the letter as large as in scans.

An image that looks like the scans a network was trained on passes through byte for byte.
"""

import cv2
import numpy as np

from okkhor.serving.answers import Refused

LEAST_CONTRAST = 24  # gray levels between ink and paper; of 15,000 scans the faintest has 53
WHITE = 225  # paper that is darker gets lightened; of those scans the darkest has 239
EVEN = 40  # gray levels that paper may vary over an image before it gets evened out
PALE = 140  # ink that is paler at its darkest gets darkened
SMALL, FILLS = 0.4, 0.6  # of height or width: letters that fill less than the one are magnified to the other
COARSE, FINE = 256, 768  # longer side at which tones and the place of ink are looked for


def dark_on_light(image: np.ndarray) -> np.ndarray:
    """The image, uint8 (H, W), inverted when its ink is lighter than its paper.

    Two witnesses are heard. Strokes are few and thin, so what stands out from its surroundings is ink: the sign of
    the skewness of the image minus its blur, which neither shadow nor vignette changes. And the edge of an image is
    paper, however bold the letter: on which side of Otsu's threshold (IEEE TSMC 9, 1979) it lies.
    Raises Refused where there are no two tones.
    """
    small = _shrunk(image, COARSE)
    _, light = cv2.threshold(small, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    lighter = light.astype(bool)
    if lighter.all() or not lighter.any() or small[lighter].mean() - small[~lighter].mean() < LEAST_CONTRAST:
        raise Refused(422, "NoInk", "no ink in this image; expected one grapheme, dark on light or light on dark")
    inset = min(small.shape) // 40  # scans have dark edges
    inner = lighter[inset : small.shape[0] - inset, inset : small.shape[1] - inset]
    edge = np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]]).mean()
    relief = small - cv2.GaussianBlur(small.astype(np.float32), (0, 0), min(small.shape) / 4)
    skewness = (relief**3).mean() / (relief**2).mean() ** 1.5
    return image if 2 * edge - 1 > skewness else 255 - image


def evenly_lit(image: np.ndarray) -> np.ndarray:
    """The image, uint8 (H, W), dark on light, its paper made white and its light even, where they are not.

    Paper without its ink is a closing wider than pen strokes; dividing by it takes shadows out of photographs.
    """
    small = _shrunk(image, COARSE)
    window = max(9, min(small.shape) // 4) | 1
    paper = cv2.morphologyEx(cv2.medianBlur(small, 3), cv2.MORPH_CLOSE, np.ones((window, window), np.uint8))
    low, middle = np.percentile(paper, (5, 50))
    if middle >= WHITE and middle - low <= EVEN:
        return image
    paper = cv2.resize(cv2.GaussianBlur(paper, (0, 0), 2), image.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return cv2.divide(image, np.maximum(paper, 1), scale=250)


def darkened(image: np.ndarray) -> np.ndarray:
    """The image, uint8 (H, W), its ink made black where it is pale, as a pencil's."""
    small = _shrunk(image, COARSE)
    darkest, paper = float(np.percentile(small, 0.5)), float(np.median(small))
    if darkest <= PALE:
        return image
    # float32 (H, W) -> uint8, rounded and held within 0 to 255
    return cv2.convertScaleAbs(np.maximum(image - np.float32(darkest), 0), alpha=paper / max(paper - darkest, 1))


def magnified(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The image, uint8 (H, W), dark on light, cut around its ink where that would be small once fitted into `size`.

    size: (height, width) of the images that were trained on, of which letters fill FILLS in height or width.
    """
    fine = _shrunk(image, FINE)
    box = _ink_box(fine)
    if box is None:
        return image
    zoom = max(image.shape) / max(fine.shape)
    top, left, bottom, right = (round(at * zoom) for at in box)
    fit = min(size[0] / image.shape[0], size[1] / image.shape[1])
    if max((bottom - top) * fit / size[0], (right - left) * fit / size[1]) >= SMALL:
        return image
    scale = max((bottom - top) / size[0], (right - left) / size[1]) / FILLS
    height, width = round(scale * size[0]), round(scale * size[1])
    top, left = max(0, (top + bottom - height) // 2), max(0, (left + right - width) // 2)
    return image[top : top + height, left : left + width]


def paper_tone(image: np.ndarray) -> int:
    """The tone of most of an image, uint8 (H, W): its paper's."""
    return int(np.median(_shrunk(image, COARSE)))


def _ink_box(image: np.ndarray) -> tuple[int, int, int, int] | None:
    """Top, left, bottom, right of what is darker than halfway between paper and ink, specks left out."""
    smooth = cv2.blur(image, (3, 3))
    paper, darkest = paper_tone(image), float(smooth.min())
    ink = (smooth < (paper + darkest) / 2).astype(np.uint8)
    rows = np.flatnonzero(cv2.reduce(ink, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S) > 1)
    columns = np.flatnonzero(cv2.reduce(ink, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S) > 1)
    if len(rows) == 0 or len(columns) == 0:
        return None
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _shrunk(image: np.ndarray, long_side: int) -> np.ndarray:
    longest = max(image.shape)
    if longest <= long_side:
        return image
    size = tuple(max(1, round(side * long_side / longest)) for side in image.shape[::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
