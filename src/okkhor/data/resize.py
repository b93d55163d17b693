"""The one resize of the project: what is trained on is what is served (contract 4)."""

import cv2
import numpy as np


def resize(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize gray images by pixel-area averaging (linear interpolation where they grow).

    images: uint8 (H, W) or (B, H, W); size: (height, width) wanted. Returns uint8 of the same rank.
    An image that has the size already comes back as it is, not copied.
    """
    if images.dtype != np.uint8 or images.ndim not in (2, 3):
        raise ValueError(f"expected uint8 images (H, W) or (B, H, W), got {images.dtype} {images.shape}")
    height, width = size
    if images.shape[-2:] == (height, width):
        return images
    shrinks = height <= images.shape[-2] and width <= images.shape[-1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    if images.ndim == 2:
        return cv2.resize(images, (width, height), interpolation=interpolation)
    resized = np.empty((len(images), height, width), np.uint8)
    for image, out in zip(images, resized, strict=True):
        cv2.resize(image, (width, height), dst=out, interpolation=interpolation)
    return resized
