"""Images of a store at the size a network sees, computed once: cropping and resizing would cost more than all the rest.

`<store>/images-<height>x<width>[-ink]-v<version>.npy` holds uint8 (N, height, width), what `okkhor.data.resize` gives,
byte for byte; it can be removed at any time.
"""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from filelock import FileLock

from okkhor.atomic import replacing
from okkhor.data.layout import MappedImages, Store
from okkhor.data.resize import resize

VERSION = 1  # raise it when `resize` gives other bytes than before
BLOCK = 256  # images that a thread takes at a time
# what mounts say that are for reading alone, some of them to root only when it writes
REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSYS, errno.ENOTSUP)


def resized_images(store: Store, size: tuple[int, int], *, crop: bool = False) -> np.ndarray:
    """uint8 (N, height, width), memory-mapped; made under a lock where it is not there yet.

    A store that cannot be written gets it in memory instead, N × height × width bytes in each process.
    """
    if tuple(store.size) == tuple(size) and not crop:
        return store.images
    name = f"images-{size[0]}x{size[1]}{'-ink' if crop else ''}-v{VERSION}.npy"
    path = store.path / name
    if path.is_file():
        return MappedImages.open(path)
    if not os.access(store.path, os.W_OK):
        return _in_memory(store, size, crop)
    try:
        with FileLock(store.path / f".{name}.lock"):
            if not path.is_file():
                _write(path, store, size, crop)
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        return _in_memory(store, size, crop)
    return MappedImages.open(path)


def _in_memory(store: Store, size: tuple[int, int], crop: bool) -> np.ndarray:
    images = np.empty((len(store), *size), np.uint8)
    _fill(images, store, size, crop)
    return images


def _write(path: Path, store: Store, size: tuple[int, int], crop: bool) -> None:
    with replacing(path) as temporary:
        images = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=(len(store), *size))
        _fill(images, store, size, crop)
        images.flush()


def _fill(images: np.ndarray, store: Store, size: tuple[int, int], crop: bool) -> None:
    whole = Store.open(store.path).images  # a map of its own: what it holds in memory goes with it

    def block(start: int) -> None:
        part = slice(start, start + BLOCK)
        images[part] = resize(np.asarray(whole[part]), size, crop=crop)

    cv2.setNumThreads(0)  # the threads are here
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(block, range(0, len(store), BLOCK)))
