"""What the project replaced, written anew from its description, to be measured against.

The workshop (AWS, 2020-2021) read the competition's files into pandas frames, took all pixels out of them into one
array, and kept the labels in a frame of their own, which was asked four times an image.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.functional import to_tensor

from okkhor.benchmarks.setting import extra

if TYPE_CHECKING:
    import pandas as pd


class WorkshopImages(Dataset):
    """The workshop's own way: pixels in an array, a row of the label frame by `iloc` for every single value.

    images: uint8 (N, H, W); labels: a frame of N rows with `image_id`, the label columns, the text, and `id`, the
    row in images. An item is inverted, repeated to RGB and scaled: float32 (3, H, W), and int64 (heads,).
    """

    def __init__(self, images: np.ndarray, labels: "pd.DataFrame", columns: list[str]) -> None:
        self.images, self.labels, self.columns = images, labels, columns

    @classmethod
    def read(cls, data_dir: Path, columns: list[str], size: tuple[int, int]) -> "WorkshopImages":
        pd = extra("pandas")
        images = pd.read_parquet(data_dir / "train_image_data_0.parquet").iloc[:, 1:].to_numpy().reshape(-1, *size)
        labels = pd.read_csv(data_dir / "train.csv")
        return cls(images, labels.assign(id=np.arange(len(labels))), columns)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, np.ndarray]:
        image = self.images[self.labels.iloc[index]["id"]]
        return as_rgb(image), np.array([self.labels.iloc[index][column] for column in self.columns])


class FrameImages(Dataset):
    """The plain way without that array: one wide frame of pixels and labels, both taken out of it by `iloc`.

    frame: `image_id`, a column a pixel, the label columns; size: height and width. Items as of `WorkshopImages`.
    Labels are looked up within their column, which is 500 times faster than taking the wide row for each.
    """

    def __init__(self, frame: "pd.DataFrame", columns: list[str], size: tuple[int, int]) -> None:
        self.frame, self.columns, self.size = frame, columns, size

    @classmethod
    def read(cls, data_dir: Path, columns: list[str], size: tuple[int, int]) -> "FrameImages":
        pd = extra("pandas")
        labels = pd.read_csv(data_dir / "train.csv")[["image_id", *columns]]
        frame = pd.read_parquet(data_dir / "train_image_data_0.parquet")
        return cls(frame.merge(labels, on="image_id"), columns, size)

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, index: int) -> tuple[Tensor, np.ndarray]:
        pixels = self.size[0] * self.size[1]
        image = self.frame.iloc[index, 1 : 1 + pixels].to_numpy(np.uint8).reshape(self.size)
        return as_rgb(image), np.array([self.frame[column].iloc[index] for column in self.columns])


def as_rgb(image: np.ndarray) -> Tensor:
    """uint8 (H, W), dark on white -> float32 (3, H, W), 0 is paper and 1 is ink."""
    return to_tensor(np.repeat((255 - image)[:, :, np.newaxis], 3, axis=2))
