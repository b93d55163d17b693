import errno
import shutil

import numpy as np
import pytest

from okkhor.data import resized
from okkhor.data.resize import resize
from okkhor.data.resized import resized_images
from okkhor.data.store import competition_store
from okkhor.heads import Heads

HEADS = Heads.from_config({"root": {"column": "grapheme_root", "classes": 168}})


@pytest.fixture
def store(synthetic_dir, tmp_path):
    return competition_store(synthetic_dir, HEADS, cache_dir=tmp_path, progress=False)


@pytest.mark.parametrize("crop", [False, True])
def test_equals_resizing_each_image_byte_for_byte(store, crop, monkeypatch):
    monkeypatch.setattr(resized, "BLOCK", 7)
    images = resized_images(store, (20, 26), crop=crop)
    assert images.shape == (len(store), 20, 26)
    for row in (0, 6, 7, 123, len(store) - 1):
        assert (images[row] == resize(np.asarray(store.images[row]), (20, 26), crop=crop)).all()


def test_is_made_once_and_sizes_do_not_meet(store, monkeypatch):
    first = resized_images(store, (20, 26), crop=True)
    plain = resized_images(store, (20, 26))
    assert not np.array_equal(first, plain)
    monkeypatch.setattr(resized, "resize", None)
    assert np.array_equal(resized_images(store, (20, 26), crop=True), first)
    assert resized_images(store, store.size) is store.images


def test_a_failed_build_leaves_nothing_that_is_taken_for_images(store, monkeypatch):
    def fails(*_, **__):
        raise MemoryError

    monkeypatch.setattr(resized, "resize", fails)
    with pytest.raises(MemoryError):
        resized_images(store, (20, 26))
    monkeypatch.undo()
    assert not list(store.path.glob("images-20x26*"))
    assert resized_images(store, (20, 26)).any()


def test_a_mount_that_refuses_only_when_it_is_written_to_is_resized_in_memory(store, monkeypatch):
    def refuses(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(resized, "_write", refuses)
    images = resized_images(store, (20, 26))
    assert not isinstance(images, np.memmap)
    assert (images[3] == resize(np.asarray(store.images[3]), (20, 26))).all()
    monkeypatch.setattr(resized, "_write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    with pytest.raises(OSError, match="No space left"):  # not a reason to fill the memory
        resized_images(store, (20, 26))


def test_store_that_cannot_be_written_is_resized_in_memory(store, monkeypatch):
    monkeypatch.setattr(resized.os, "access", lambda *_: False)
    images = resized_images(store, (20, 26))
    assert not isinstance(images, np.memmap)
    assert (images[3] == resize(np.asarray(store.images[3]), (20, 26))).all()
    shutil.rmtree(store.path)
