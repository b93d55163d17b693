"""The store holds what the files hold, is built once, and is there whole or not at all."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from okkhor.data import building, wide
from okkhor.data.layout import Store
from okkhor.data.store import competition_store
from okkhor.errors import InputError
from okkhor.heads import Head, Heads


def build(data, **options) -> Store:
    return competition_store(data.folder, data.heads, size=data.size, progress=False, **options)


def read_with_pyarrow(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The images of one file, read whole."""
    table = pq.read_table(path)
    return np.stack([column.to_numpy() for column in table.columns[1:]], axis=1).reshape(-1, *size)


@pytest.mark.parametrize("block", [1, 50, 117 * 3, 8 << 20])
@pytest.mark.parametrize("row_group_size", [None, 3, 4])
def test_equals_what_was_written_however_it_is_read(written, monkeypatch, block, row_group_size):
    monkeypatch.setattr(wide, "BLOCK", block)
    data = written(rows=(7, 1, 11), row_group_size=row_group_size)
    store = build(data)
    assert store.images.dtype == np.uint8
    assert isinstance(store.images, np.memmap)
    assert np.array_equal(store.images, data.images)
    assert store.image_ids == data.ids
    assert np.array_equal(store.labels, data.labels)
    assert store.labels.dtype == np.int64
    assert store.graphemes == [f"ক{i}" for i in range(19)]
    assert store.columns == data.heads.columns
    assert store.size == data.size
    assert [path.name for path in store.path.iterdir() if path.name == "scratch"] == []


def test_equals_pyarrow_at_full_size(synthetic_dir, tmp_path):
    heads = Heads([Head("root", "grapheme_root", 168), Head("vowel", "vowel_diacritic", 11)])
    store = competition_store(synthetic_dir, heads, cache_dir=tmp_path, progress=False)
    files = sorted(synthetic_dir.glob("train_image_data_*.parquet"))
    expected = np.concatenate([read_with_pyarrow(path, (137, 236)) for path in files])
    assert np.array_equal(store.images, expected)


def test_twelve_files_in_the_order_of_their_numbers(written):
    data = written(rows=(1,) * 12)
    assert np.array_equal(build(data).images, data.images)


def test_test_split_has_no_labels(written):
    data = written(test_rows=(2, 3))
    store = build(data, split="test")
    assert len(store) == 5
    assert store.labels is None
    assert store.graphemes is None
    assert store.image_ids[-1] == "Test_1_2"
    expected = np.concatenate(
        [read_with_pyarrow(data.folder / f"test_image_data_{k}.parquet", data.size) for k in (0, 1)]
    )
    assert np.array_equal(store.images, expected)


def test_opens_elsewhere_without_its_sources(written, tmp_path):
    data = written()
    elsewhere = shutil.move(build(data).path, tmp_path / "elsewhere")
    shutil.rmtree(data.folder)
    store = Store.open(elsewhere)
    store.verify()
    assert np.array_equal(store.images, data.images)
    assert np.array_equal(store.labels, data.labels)


def test_is_built_once(written, monkeypatch):
    data = written()
    first = build(data)
    monkeypatch.setattr(wide, "pixel_rows", None)  # reading the pixels again would fail
    assert build(data).path == first.path


@pytest.mark.parametrize("what", ["content", "labels", "heads"])
def test_another_identity_is_another_store(written, what):
    data = written()
    first = build(data)
    if what == "content":
        path = data.folder / "train_image_data_0.parquet"
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    elif what == "labels":
        path = data.folder / "train.csv"
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    else:
        data.heads = Heads([Head("root", "grapheme_root", 13)])
    second = build(data)
    assert second.key != first.key
    assert second.path != first.path
    assert second.columns == data.heads.columns


def test_lies_beside_the_data_or_where_it_is_told(written, tmp_path, monkeypatch):
    data = written()
    assert build(data).path.parent == data.folder / ".okkhor"
    assert build(data, cache_dir=tmp_path / "given").path.parent == tmp_path / "given"
    monkeypatch.setenv("OKKHOR_CACHE", str(tmp_path / "named"))
    assert build(data).path.parent == tmp_path / "named"


def test_data_that_cannot_be_written_beside_goes_to_the_home_cache(written, tmp_path):
    data = written()
    (data.folder / ".okkhor").write_text("")  # stands in for a read-only folder, which root could write
    assert build(data).path.parent == tmp_path / "home" / ".cache" / "okkhor"


def test_a_store_beside_is_used_even_where_it_cannot_be_written(written, monkeypatch):
    data = written()
    first = build(data)
    monkeypatch.setattr(building, "_writable", lambda folder: False)
    assert build(data).path == first.path


def test_nowhere_to_write_says_what_to_give(written, monkeypatch):
    monkeypatch.setattr(building, "_writable", lambda folder: False)
    with pytest.raises(InputError, match=r"data\.cache_dir="):
        build(written())


def test_full_disk_is_told_beforehand(written, monkeypatch):
    data = written()
    monkeypatch.setattr(building.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(InputError, match="make room"):
        build(data)
    assert not list((data.folder / ".okkhor").glob("train-*/"))


SPOILED = {
    "no description": lambda path: (path / "store.json").unlink(),
    "not JSON": lambda path: (path / "store.json").write_text("{"),
    "other JSON": lambda path: (path / "store.json").write_text("[1, 2]"),
    "other format": lambda path: edit_description(path, format=99),
    "images missing": lambda path: (path / "images.npy").unlink(),
    "images cut off": lambda path: os.truncate(path / "images.npy", 500),
    "index longer": lambda path: (path / "index.parquet").write_bytes((path / "index.parquet").read_bytes() + b"x"),
}


def edit_description(path: Path, **values) -> None:
    described = path / "store.json"
    described.write_text(json.dumps({**json.loads(described.read_text()), **values}))


@pytest.mark.parametrize("case", SPOILED)
def test_a_damaged_store_is_refused_and_built_anew(written, case):
    data = written()
    path = build(data).path
    SPOILED[case](path)
    with pytest.raises(InputError) as refusal:
        Store.open(path)
    assert str(path) in str(refusal.value)
    assert np.array_equal(build(data).images, data.images)


def test_goes_to_another_process_as_a_path(written):
    store = build(written(rows=(300, 200)))
    store.labels  # noqa: B018 - read before it is sent
    sent = pickle.dumps((store, store.images))
    assert len(sent) < 3000 < store.images.nbytes
    again, images = pickle.loads(sent)
    assert isinstance(images, np.memmap)
    assert np.array_equal(images, store.images)
    assert np.array_equal(again.labels, store.labels)
    part = pickle.loads(pickle.dumps(store.images[3:5]))
    assert np.array_equal(part, store.images[3:5])


def test_verify_finds_one_changed_byte(written):
    store = build(written())
    store.verify()
    with (store.path / "images.npy").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    with pytest.raises(InputError, match=r"images\.npy: changed"):
        Store.open(store.path).verify()


def test_heads_of_another_task_are_refused(written):
    store = build(written())
    store.check_heads(Heads([Head("a", "grapheme_root", 12), Head("b", "vowel_diacritic", 4), Head("c", "sign", 3)]))
    with pytest.raises(InputError, match=r"data\.heads\.root: expected 13 classes .* has 12 classes"):
        store.check_heads(Heads([Head("root", "grapheme_root", 13)]))
    with pytest.raises(InputError, match=r"data\.heads\.tone: .* has no such labels"):
        store.check_heads(Heads([Head("tone", "tone", 3)]))
    with pytest.raises(InputError, match="in its order: grapheme_root, vowel_diacritic, sign"):
        store.check_heads(Heads([Head("b", "vowel_diacritic", 4), Head("a", "grapheme_root", 12)]))


# a builder in a process of its own: says when it has begun to write, then waits for the file `go`
BUILDER = """
import sys, time
from pathlib import Path
import okkhor.data.store as store_module
from okkhor.data.competition import CompetitionFiles
from okkhor.data.store import competition_store
from okkhor.heads import Head, Heads

folder = Path(sys.argv[1])
bands = CompetitionFiles.pixel_bands

def slowly(*args):
    for k, band in enumerate(bands(*args)):
        yield band
        if k == 0:
            print("writing", flush=True)
            while not (folder / "go").exists():
                time.sleep(0.01)

CompetitionFiles.pixel_bands = slowly
heads = Heads([Head("root", "grapheme_root", 12)])
print(competition_store(folder, heads, size=(9, 13)).path, flush=True)
"""


def start_builder(folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", BUILDER, str(folder)]
    env = {**os.environ, "COLUMNS": "200"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


@pytest.mark.serial
def test_two_processes_that_start_together_build_it_once(written):
    data = written()
    first = start_builder(data.folder)
    assert first.stdout.readline() == "writing\n"
    second = start_builder(data.folder)
    waits = next(line for line in second.stderr if "waiting" in line)
    assert "Another process is packing" in waits
    (data.folder / "go").touch()
    outputs = [process.communicate(timeout=60) for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0]
    assert outputs[0][0] == outputs[1][0]  # the second never printed "writing"
    assert np.array_equal(Store.open(outputs[0][0].strip()).images, data.images)


@pytest.mark.serial
def test_a_killed_build_leaves_no_store_and_its_remains_are_removed(written):
    data = written()
    killed = start_builder(data.folder)
    assert killed.stdout.readline() == "writing\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    stores = data.folder / ".okkhor"
    (remains,) = [path for path in stores.iterdir() if path.is_dir()]
    with pytest.raises(InputError, match="not a store"):
        Store.open(remains)
    store = build(data)  # other heads, so a store of another name: it sweeps all the same
    assert np.array_equal(store.images, data.images)
    assert [path for path in stores.iterdir() if path.is_dir()] == [store.path]


@pytest.mark.serial
def test_the_remains_of_a_live_builder_are_left_alone(written):
    data = written()
    alive = start_builder(data.folder)
    assert alive.stdout.readline() == "writing\n"
    build(data)
    (data.folder / "go").touch()
    out, _ = alive.communicate(timeout=60)
    assert np.array_equal(Store.open(out.strip()).images, data.images)


MEASURE = """
import sys, threading, time
from pathlib import Path
from okkhor.data.store import competition_store
from okkhor.heads import Head, Heads

peak, done = 0, False

def watch():
    global peak
    while not done:
        status = Path("/proc/self/status").read_text()
        peak = max(peak, int(status.split("RssAnon:")[1].split()[0]))
        time.sleep(0.002)

watcher = threading.Thread(target=watch)
watcher.start()
heads = Heads([Head("root", "grapheme_root", 12)])
competition_store(sys.argv[1], heads, size=(int(sys.argv[2]), int(sys.argv[3])), progress=False)
done = True
watcher.join()
print(peak)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="RssAnon is told by Linux")
@pytest.mark.parametrize(
    ("rows", "size"), [(15_000, (40, 40)), pytest.param(1_000, (137, 236), marks=pytest.mark.slow)]
)
def test_memory_does_not_grow_with_the_rows(written, rows, size):
    peaks = []
    for k, count in enumerate((rows, 4 * rows)):
        data = written(rows=(count,), size=size, name=f"data{k}")
        command = [sys.executable, "-c", MEASURE, str(data.folder), *map(str, size)]
        peaks.append(int(subprocess.run(command, capture_output=True, check=True, text=True).stdout))
    added = 3 * rows * size[0] * size[1] / 1024  # KiB of images; allocators of threads differ by less than half of it
    assert peaks[1] - peaks[0] < added / 2, peaks
    assert peaks[1] < 1_000_000, peaks
