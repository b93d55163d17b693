"""A contact sheet: many images of a data set on one page."""

from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq

from okkhor.atomic import replacing
from okkhor.data.synthetic.render import SIZE
from okkhor.errors import InputError

LINE = 4  # pixels between images
LINE_TONE = 128


def contact_sheet(
    path: str | Path,
    images: np.ndarray | str | Path,
    *,
    columns: int = 6,
    rows: int = 8,
    captions: list[str] | None = None,
) -> Path:
    """Write the first columns × rows images as one PNG and return its path.

    images: uint8 (N, H, W), or a folder in the competition's format, of which the first training file is read.
    captions: Bengali texts, one an image, printed small in the corner.
    Raises InputError when there is no image to show.
    """
    path, wanted = Path(path), columns * rows
    if isinstance(images, str | Path):
        images = _first_images(Path(images), wanted)
    if images.ndim != 3 or not len(images):
        raise InputError(f"contact sheet: expected images (N, H, W), got an array of shape {images.shape}")
    height, width = images.shape[1:]
    rows = min(rows, -(-len(images) // columns))
    sheet = np.full((rows * (height + LINE) - LINE, columns * (width + LINE) - LINE), LINE_TONE, np.uint8)
    for k, image in enumerate(images[: rows * columns]):
        y, x = (k // columns) * (height + LINE), (k % columns) * (width + LINE)
        sheet[y : y + height, x : x + width] = image
        if captions is not None:
            caption = _caption(captions[k], height // 5, width // 4)
            sheet[y : y + caption.shape[0], x : x + caption.shape[1]] = caption
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded, data = cv2.imencode(".png", sheet)
    assert encoded, "a gray image always encodes"
    with replacing(path) as temporary:
        temporary.write_bytes(data.tobytes())
    return path


def _caption(text: str, height: int, width: int) -> np.ndarray:
    from okkhor.data.synthetic.printed import render_text

    return render_text(text, (height, width))


def _first_images(data_dir: Path, count: int) -> np.ndarray:
    file = data_dir / "train_image_data_0.parquet"
    if not file.is_file():
        raise InputError(f"{file}: no such file; expected a folder in the competition's format")
    names = list(map(str, range(SIZE[0] * SIZE[1])))
    blocks = []
    with pq.ParquetFile(file) as source:
        for first in range(0, len(names), 2048):  # by blocks of columns: the file is one row group
            table = source.read(columns=names[first : first + 2048])
            blocks.append(np.stack([column.to_numpy()[:count] for column in table.columns]))
    return np.concatenate(blocks).T.reshape(-1, *SIZE)
