"""What the project replaced, written anew from its description, to be measured against.

The workshop (AWS, 2020-2021) read the competition's files into pandas frames, took all pixels out of them into one
array, and kept the labels in a frame of their own, which was asked four times an image.
"""

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.functional import to_tensor

if TYPE_CHECKING:
    import pandas as pd


class WorkshopImages(Dataset):
    """The workshop's own way: pixels in an array, a row of the label frame by `iloc` for every single value.

    pixels: a frame of `image_id` and a column a pixel; labels: train.csv as a frame, its rows in the same order;
    columns: those of the labels; size: height and width. An item is inverted, repeated to RGB and scaled: float32
    (3, H, W), and int64 (heads,).
    """

    def __init__(
        self, pixels: "pd.DataFrame", labels: "pd.DataFrame", columns: list[str], size: tuple[int, int]
    ) -> None:
        self.images = pixels.iloc[:, 1:].to_numpy().reshape(-1, *size)
        self.labels = labels.assign(id=np.arange(len(labels)))
        self.columns = columns

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, np.ndarray]:
        image = self.images[self.labels.iloc[index]["id"]]
        return as_rgb(image), np.array([self.labels.iloc[index][column] for column in self.columns])


class FrameImages(Dataset):
    """The plain way without that array: one wide frame of pixels and labels, both taken out of it by `iloc`.

    Arguments and items as of `WorkshopImages`. A label is looked up within its column, which is hundreds of times
    faster than taking the whole wide row for each.
    """

    def __init__(
        self, pixels: "pd.DataFrame", labels: "pd.DataFrame", columns: list[str], size: tuple[int, int]
    ) -> None:
        self.frame = pixels.merge(labels[["image_id", *columns]], on="image_id")
        self.columns, self.size = columns, size

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, index: int) -> tuple[Tensor, np.ndarray]:
        pixels = self.size[0] * self.size[1]
        image = self.frame.iloc[index, 1 : 1 + pixels].to_numpy(np.uint8).reshape(self.size)
        return as_rgb(image), np.array([self.frame[column].iloc[index] for column in self.columns])


def as_rgb(image: np.ndarray) -> Tensor:
    """uint8 (H, W), dark on white -> float32 (3, H, W), 0 is paper and 1 is ink."""
    return to_tensor(np.repeat((255 - image)[:, :, np.newaxis], 3, axis=2))
