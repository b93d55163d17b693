"""From any picture to gray pixels: the same for class folders that are trained on and for pictures that are served."""

import cv2
import numpy as np
from PIL import Image, ImageOps

PAPER = 255  # what shows where a picture is transparent


def gray(image: Image.Image, paper: int = PAPER) -> np.ndarray:
    """uint8 (H, W) of a picture of any mode, turned upright as its EXIF says; paper: the tone behind transparency.

    Raises what Pillow raises when the picture's file is damaged.
    """
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        behind = Image.new("RGBA", upright.size, (paper, paper, paper, 255))
        upright = Image.alpha_composite(behind, upright)
    if upright.mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip at 255
        return (np.asarray(upright).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
    return np.asarray(upright.convert("L"))


def fitted(image: np.ndarray, size: tuple[int, int], paper: int = PAPER) -> np.ndarray:
    """uint8 (H, W) scaled to fit into `size` (height, width) with its proportions kept, in the middle of paper.

    An image of that size already comes back as it is.
    """
    height, width = size
    if image.shape == (height, width):
        return image
    scale = min(height / image.shape[0], width / image.shape[1])
    h, w = (max(1, min(limit, round(side * scale))) for side, limit in zip(image.shape, (height, width), strict=True))
    scaled = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas = np.full((height, width), paper, np.uint8)
    top, left = (height - h) // 2, (width - w) // 2
    canvas[top : top + h, left : left + w] = scaled
    return canvas
