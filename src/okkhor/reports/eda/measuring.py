"""One walk over all images: what is measured of each, block by block, so that memory holds numbers and no images."""

import hashlib
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from okkhor.data.reading import StoredImages
from okkhor.data.resize import STRIDE, ink_box, resize
from okkhor.reports.eda.section import Advance

BLOCK = 128  # images that a thread holds at a time
CONTRAST = 8  # gray levels that ink stands out by, as `ink_box` has it
SMALL = 32  # side of the image cut to its ink that fingerprints and neighbors are made of
SAMPLE, DIMENSIONS = 2000, 48  # images that the shape space is laid through, and what it has
MAP = (48, 80)  # height, width of the map of where ink lies, at most


@dataclass(frozen=True)
class Measures:
    """Of N images, in the store's order.

    ink: share of pixels that are ink; paper, pen: mean gray level of the two; box: top, left, bottom, right of the
    ink, int32 (N, 4); blank: no ink stands out; digest: uint64 (N, 2), equal where all pixels are; fingerprint:
    uint64, close in bits where images look alike; shape: float32 (N, D), near where small images look alike;
    where: share of images with ink at each place, (h, w).
    """

    ink: np.ndarray
    paper: np.ndarray
    pen: np.ndarray
    box: np.ndarray
    blank: np.ndarray
    digest: np.ndarray
    fingerprint: np.ndarray
    shape: np.ndarray
    where: np.ndarray


def measure(images: StoredImages, seed: int, advance: Advance) -> Measures:
    """Walk over the images, a few blocks at once in as many threads as there are processors."""
    count = len(images)
    rng = np.random.default_rng([seed, 1])
    chosen = np.sort(rng.choice(count, min(SAMPLE, count), replace=False))
    space = _ShapeSpace.through(_small(images[chosen]))
    size = (min(MAP[0], images.size[0]), min(MAP[1], images.size[1]))
    found = Measures(
        *(np.empty(count, np.float32) for _ in range(3)),
        np.empty((count, 4), np.int32),
        np.empty(count, bool),
        np.empty((count, 2), np.uint64),
        np.empty(count, np.uint64),
        np.empty((count, space.axes.shape[1]), np.float32),
        np.zeros(size),
    )

    def block(start: int, stop: int) -> np.ndarray:
        return _measure_block(found, slice(start, stop), images.block(start, stop), space)

    threads = os.cpu_count() or 1
    cv2.setNumThreads(0)  # the threads are here
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[int, Future[np.ndarray]]] = deque()
        spans = list(images.starts(BLOCK))
        for start, stop in spans:
            waiting.append((stop, pool.submit(block, start, stop)))
            if len(waiting) > 2 * threads or stop == count:
                while waiting and (len(waiting) > threads or stop == count):
                    done, future = waiting.popleft()
                    found.where[...] += future.result()
                    advance(done, count)
    found.where[...] /= max(count, 1)
    return found


def _measure_block(found: Measures, rows: slice, pixels: np.ndarray, space: "_ShapeSpace") -> np.ndarray:
    """Fill the rows of what is found; returns the sum of the block's ink maps."""
    where = np.zeros(found.where.shape)
    for row, image in enumerate(pixels, rows.start):
        seen = np.ascontiguousarray(image[::STRIDE, ::STRIDE])
        threshold, dark = cv2.threshold(seen, 0, 1, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
        count = int(dark.sum())
        blank = count == 0 or int(seen.max()) - threshold < CONTRAST
        found.blank[row] = blank
        found.ink[row] = 0.0 if blank else count / dark.size
        found.paper[row] = cv2.mean(seen)[0] if blank else cv2.mean(seen, 1 - dark)[0]
        found.pen[row] = found.paper[row] if blank else cv2.mean(seen, dark)[0]
        found.box[row] = (0, 0, 0, 0) if blank else ink_box(image)
        digest = hashlib.blake2b(image, digest_size=16).digest()
        found.digest[row] = np.frombuffer(digest, np.uint64)
        if not blank:
            where += cv2.resize(dark.astype(np.float32), where.shape[::-1], interpolation=cv2.INTER_AREA)
    small = _small(pixels)
    found.fingerprint[rows] = fingerprints(small)
    found.shape[rows] = space.of(small)
    return where


def fingerprints(small: np.ndarray) -> np.ndarray:
    """uint64 (N,) of small images (N, 32, 32): the signs of their 64 lowest frequencies against the median.

    A perceptual hash: images that look alike differ in few bits (https://www.phash.org/docs/design.html).
    """
    low = np.stack([cv2.dct(image.astype(np.float32))[:8, :8] for image in small]).reshape(len(small), 64)
    bits = low > np.median(low[:, 1:], axis=1, keepdims=True)  # the first is the mean tone
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


@dataclass(frozen=True)
class _ShapeSpace:
    """The main directions in which small, blurred images differ; mean (P,), axes (P, D)."""

    mean: np.ndarray
    axes: np.ndarray

    @classmethod
    def through(cls, small: np.ndarray) -> "_ShapeSpace":
        vectors = _blurred(small)
        mean = vectors.mean(axis=0)
        _, directions = np.linalg.eigh((vectors - mean).T @ (vectors - mean))
        return cls(mean, np.ascontiguousarray(directions[:, ::-1][:, :DIMENSIONS]))

    def of(self, small: np.ndarray) -> np.ndarray:
        return (_blurred(small) - self.mean) @ self.axes


def _small(pixels: np.ndarray) -> np.ndarray:
    """Images cut to their ink, (N, 32, 32), its center of mass in the middle, as `resize` cuts in steps of pixels."""
    small, middle = resize(pixels, (SMALL, SMALL), crop=True), (SMALL - 1) / 2
    for image in small:
        moments = cv2.moments(255 - image)
        weight = max(moments["m00"], 1.0)
        right, down = middle - moments["m10"] / weight, middle - moments["m01"] / weight
        shift = np.array([[1, 0, right], [0, 1, down]], np.float32)
        image[...] = cv2.warpAffine(image, shift, (SMALL, SMALL), borderMode=cv2.BORDER_REPLICATE)
    return small


def _blurred(small: np.ndarray) -> np.ndarray:
    """Ink of small images, blurred and of length one, float32 (N, 256): strokes need not lie exactly on each other."""
    soft = np.stack([cv2.GaussianBlur(255 - image, (0, 0), 1.6) for image in small])
    halves = soft.reshape(-1, SMALL // 2, 2, SMALL // 2, 2).mean((2, 4), dtype=np.float32)
    vectors = halves.reshape(len(small), -1)
    return vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-6)
