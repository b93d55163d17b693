"""Columns of pixels to rows of pixels, in memory that does not grow with the number of rows.

The competition's files hold one row group of tens of thousands of rows, so memory is bounded by reading columns in
blocks, the narrower the more rows there are. A block is transposed and put behind the others into a scratch file;
then the scratch file is read across its blocks, a band of rows at a time. Both passes read and write in
long runs: writing each block straight into the rows would touch every page of the result once a block.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import pyarrow as pa

BLOCK = 8 << 20  # bytes of pixels in one block; larger ones were not faster


def pixel_rows(
    read: Callable[[int, list[str]], pa.Table],
    groups: list[int],
    columns: list[str],
    scratch: Path,
    advance: Callable[[float], None] = lambda _: None,
) -> Iterator[np.ndarray]:
    """Bands of rows, uint8 (n, len(columns)), in the order of the rows; each is valid until the next is asked for.

    read: gives the named columns of one row group, uint8 without nulls, and is called from one other thread;
    groups: rows of each row group; columns: in the order of the pixels; scratch: a file to use, removed at the
    end; advance: told the share done, which adds up to 1.
    """
    try:
        with scratch.open("w+b") as file, ThreadPoolExecutor(1) as reader:
            for group, rows in enumerate(groups):
                share = rows / sum(groups)
                widths = []
                for block in _blocks(read, group, rows, columns, reader):
                    file.write(block)
                    widths.append(block.shape[1])
                    advance(0.8 * share * block.shape[1] / len(columns))
                file.flush()
                for band in _across(file, rows, widths):
                    yield band
                    advance(0.2 * share * len(band) / rows)
                file.seek(0)  # not cut off: the next row group takes over its pages
    finally:
        scratch.unlink(missing_ok=True)


def _blocks(
    read: Callable[[int, list[str]], pa.Table], group: int, rows: int, columns: list[str], reader: ThreadPoolExecutor
) -> Iterator[np.ndarray]:
    """uint8 (rows, width) for consecutive columns of one row group; the next is read while one is used."""
    width = max(1, BLOCK // max(1, rows))
    parts = [columns[start : start + width] for start in range(0, len(columns), width)] if rows else []
    pending = [reader.submit(read, group, part) for part in parts[:1]]
    for following in [*parts[1:], None]:
        if not pending:
            return
        table = pending.pop().result()
        if following:
            pending.append(reader.submit(read, group, following))
        bands = [_transposed(batch) for batch in table.to_batches()]
        del table
        yield bands[0] if len(bands) == 1 else np.concatenate(bands)


def _transposed(batch: pa.RecordBatch) -> np.ndarray:
    """uint8 (rows, columns) of a batch, by way of (columns, rows): both steps run at the speed of memory."""
    return cv2.transpose(batch.to_tensor(row_major=False).to_numpy().T)


def _across(file: BinaryIO, rows: int, widths: list[int]) -> Iterator[np.ndarray]:
    """Rows out of a file that holds blocks uint8 (rows, width) one after the other."""
    total = sum(widths)
    height = min(rows, max(1, BLOCK // max(1, total)))
    band = np.empty((height, total), np.uint8)
    piece = np.empty(height * max(widths, default=0), np.uint8)
    for first in range(0, rows, height):
        count = min(height, rows - first)
        block_at = column = 0
        for width in widths:
            part = piece[: count * width]
            file.seek(block_at + first * width)
            file.readinto(part)
            band[:count, column : column + width] = part.reshape(count, width)
            block_at += rows * width
            column += width
        yield band[:count]
