"""The one resize of the project: what is trained on is what is served (contract 4)."""

import cv2
import numpy as np

STRIDE = 3  # ink is looked for on every third pixel: pen strokes are about four wide
BORDER = 2  # outermost looked-at pixels that do not count: scans have dark edges
MARGIN = 0.06  # of the ink's height and width, left around it on each side
LEAST_ZOOM = 0.75  # source pixels to one wanted pixel: a dot is not blown up to a letter


def resize(images: np.ndarray, size: tuple[int, int], *, crop: bool = False) -> np.ndarray:
    """Resize gray images by pixel-area averaging (linear interpolation where they grow).

    images: uint8 (H, W) or (B, H, W); size: (height, width) wanted; crop: cut to the ink first, in the wanted
    proportions, so that a letter fills the image wherever and however large it was written. Returns uint8 of the
    same rank. Without crop an image that has the size already comes back as it is, not copied.
    """
    if images.dtype != np.uint8 or images.ndim not in (2, 3):
        raise ValueError(f"expected uint8 images (H, W) or (B, H, W), got {images.dtype} {images.shape}")
    if images.ndim == 3:
        resized = np.empty((len(images), *size), np.uint8)
        for image, out in zip(images, resized, strict=True):
            out[...] = resize(image, size, crop=crop)
        return resized
    if crop:
        images = crop_to_ink(images, size)
    height, width = size
    if images.shape == (height, width):
        return images
    shrinks = height <= images.shape[0] and width <= images.shape[1]
    return cv2.resize(images, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def crop_to_ink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The part of an image that holds its ink, with a margin, in the proportions of `size`.

    image: uint8 (H, W), dark ink on light paper; size: (height, width) that it is meant for. Where the part
    reaches beyond the image it is filled with the paper's tone. An image without ink comes back whole.
    """
    height, width = image.shape
    top, left, bottom, right = ink_box(image)
    zoom = max((bottom - top) * (1 + 2 * MARGIN) / size[0], (right - left) * (1 + 2 * MARGIN) / size[1], LEAST_ZOOM)
    part_height, part_width = round(zoom * size[0]), round(zoom * size[1])
    top, left = (top + bottom - part_height) // 2, (left + right - part_width) // 2
    bottom, right = top + part_height, left + part_width
    part = image[max(top, 0) : bottom, max(left, 0) : right]
    beyond = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
    if any(beyond):
        paper = int(np.median(image[:: 4 * STRIDE, :: 2 * STRIDE]))
        part = cv2.copyMakeBorder(part, *beyond, cv2.BORDER_CONSTANT, value=paper)
    return part


def ink_box(image: np.ndarray) -> tuple[int, int, int, int]:
    """Top, left, bottom, right of the ink by Otsu's threshold (IEEE TSMC 9, 1979); the whole image if there is none."""
    height, width = image.shape
    seen = np.ascontiguousarray(image[::STRIDE, ::STRIDE])
    # Otsu splits blank paper's noise as well: ink stands out from the paper by more than that
    threshold, ink = cv2.threshold(seen, 0, 1, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    ink = ink[BORDER:-BORDER, BORDER:-BORDER]
    if ink.size == 0:
        return 0, 0, height, width
    # two pixels in a row or column: one alone is a speck
    rows = np.flatnonzero(cv2.reduce(ink, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S) > 1)
    columns = np.flatnonzero(cv2.reduce(ink, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S) > 1)
    if len(rows) == 0 or len(columns) == 0 or int(seen.max()) - threshold < 8:
        return 0, 0, height, width
    top, bottom = (rows[0] + BORDER) * STRIDE, (rows[-1] + BORDER + 1) * STRIDE
    left, right = (columns[0] + BORDER) * STRIDE, (columns[-1] + BORDER + 1) * STRIDE
    return int(top), int(left), min(int(bottom), height), min(int(right), width)
