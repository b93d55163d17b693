"""Data files that are not as the competition's are refused in one line naming the file, and leave nothing behind."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from okkhor.data.store import competition_store
from okkhor.errors import InputError

FIRST, SECOND, LABELS = "train_image_data_0.parquet", "train_image_data_1.parquet", "train.csv"


def table_of(folder: Path, name: str) -> pa.Table:
    return pq.read_table(folder / name)


def change(name: str, changed: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    return lambda folder: pq.write_table(changed(table_of(folder, name)), folder / name)


def relabel(before: str, after: str, count: int = 1) -> Callable[[Path], None]:
    """Replace by regular expression in train.csv."""

    def edit(folder: Path) -> None:
        path = folder / LABELS
        text = path.read_text(encoding="utf-8")
        assert re.search(before, text, re.MULTILINE)
        path.write_text(re.sub(before, after, text, count=count, flags=re.MULTILINE), encoding="utf-8")

    return edit


def shorten(name: str, keep: float) -> Callable[[Path], None]:
    def cut(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * keep)])

    return cut


def overwrite(name: str, at: int, content: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        with (folder / name).open("r+b") as file:
            file.seek(at)
            file.write(content)

    return write


def with_null(table: pa.Table) -> pa.Table:
    return table.set_column(6, "5", pa.array([1, 2, 3, None, 5, 6, 7], pa.uint8()))


def retyped(name: str, kind: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    return lambda t: t.set_column(t.schema.get_field_index(name), name, t.column(name).cast(kind))


def with_ids(ids: list[str | None]) -> Callable[[pa.Table], pa.Table]:
    return lambda t: t.set_column(0, "image_id", pa.array(ids, pa.string()))


def without_rows(folder: Path) -> None:
    pq.write_table(table_of(folder, SECOND).slice(0, 0), folder / SECOND)


REFUSED = {
    "no image files": (lambda f: [p.unlink() for p in f.glob("*.parquet")], FIRST, "no such file"),
    "first file missing": (lambda f: (f / FIRST).unlink(), FIRST, "no such file"),
    "last file missing": (lambda f: (f / SECOND).unlink(), LABELS, "5 of its 12 ids"),
    "labels missing": (lambda f: (f / LABELS).unlink(), LABELS, "no such file"),
    "not Parquet": (lambda f: (f / SECOND).write_text("a,b\n1,2\n" * 50), SECOND, "cannot be read as Parquet"),
    "empty file": (lambda f: (f / SECOND).write_bytes(b""), SECOND, "cannot be read as Parquet"),
    "cut off": (shorten(SECOND, 0.7), SECOND, "cannot be read as Parquet"),
    "damaged pages": (overwrite(SECOND, 4, b"\xff" * 2000), SECOND, "cannot be read as Parquet"),
    "no rows": (without_rows, SECOND, "no rows"),
    "a column too few": (
        change(SECOND, lambda t: t.drop_columns(["116"])),
        SECOND,
        "116 columns of pixels; expected 117",
    ),
    "a column too many": (
        change(SECOND, lambda t: t.append_column("117", t.column("0"))),
        SECOND,
        "118 columns of pixels; expected 117",
    ),
    "other type": (change(FIRST, retyped("7", pa.int64())), FIRST, "'7' is int64; expected uint8"),
    "other names": (
        change(FIRST, lambda t: t.rename_columns(["image_id", *(f"p{k}" for k in range(117))])),
        FIRST,
        "'p0'; expected '0'",
    ),
    "other order": (
        change(FIRST, lambda t: t.select(["image_id", "1", "0", *map(str, range(2, 117))])),
        FIRST,
        "'1'; expected '0'",
    ),
    "no ids": (change(FIRST, lambda t: t.rename_columns(["id", *t.column_names[1:]])), FIRST, "no column 'image_id'"),
    "ids of a number type": (
        change(FIRST, lambda t: t.set_column(0, "image_id", pa.array(range(7)))),
        FIRST,
        "is int64; expected string",
    ),
    "missing pixel": (change(FIRST, with_null), FIRST, "row 3: pixel '5' is missing"),
    "missing id": (change(SECOND, with_ids(["a", "b", None, "d", "e"])), SECOND, "row 2: image_id is missing"),
    "id twice in a file": (
        change(FIRST, with_ids([f"Train_{k}" for k in (0, 1, 2, 3, 4, 4, 6)])),
        FIRST,
        "row 5: image_id 'Train_4' was there",
    ),
    "id twice over files": (
        change(SECOND, with_ids([f"Train_{k}" for k in (7, 8, 0, 10, 11)])),
        SECOND,
        "row 2: image_id 'Train_0' was there",
    ),
    "id without labels": (relabel(r"^Train_9,.*\n", ""), SECOND, "row 2: image_id 'Train_9' has no labels"),
    "label id twice": (relabel(r"^Train_3,", "Train_4,"), LABELS, "image_id 'Train_4' was there before"),
    "label too large": (relabel(r"^Train_3,\d+", "Train_3,12"), LABELS, "is '12'; expected an integer from 0 to 11"),
    "label negative": (relabel(r"^Train_3,\d+", "Train_3,-1"), LABELS, "grapheme_root is '-1'"),
    "label no integer": (relabel(r"^Train_3,\d+", "Train_3,7.5"), LABELS, "grapheme_root is '7.5'"),
    "label empty": (relabel(r"^Train_3,\d+", "Train_3,"), LABELS, "grapheme_root is ''"),
    "label column missing": (
        relabel("vowel_diacritic", "vowels"),
        LABELS,
        "'vowel_diacritic' (data.heads.vowel.column)",
    ),
    "label line short": (relabel(r"^Train_3,.*$", "Train_3,1"), LABELS, "cannot be read as CSV"),
    "labels not text": (lambda f: (f / LABELS).write_bytes(b"image_id\n\xff\xfe\x00"), LABELS, ""),
    "labels empty": (lambda f: (f / LABELS).write_bytes(b""), LABELS, "cannot be read as CSV"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_line_naming_the_file(written, case):
    spoil, name, what = REFUSED[case]
    data = written(rows=(7, 5))
    spoil(data.folder)
    with pytest.raises(InputError) as refusal:
        competition_store(data.folder, data.heads, size=data.size, progress=False)
    message = str(refusal.value)
    assert str(data.folder / name) in message
    assert what in message
    assert "\n" not in message
    left = {path.suffix for path in (data.folder / ".okkhor").glob("*")}
    assert left <= {".lock"}


def test_label_message_names_the_line(written):
    data = written(rows=(7, 5))
    lines = (data.folder / LABELS).read_text(encoding="utf-8").splitlines()
    lines[4] = lines[4].split(",")[0] + ",99,0,0,x"
    (data.folder / LABELS).write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError, match=r"train\.csv: line 5: grapheme_root is '99'"):
        competition_store(data.folder, data.heads, size=data.size, progress=False)


def test_wrong_raw_size_names_both_numbers(written):
    data = written()
    with pytest.raises(InputError, match=r"117 columns of pixels; expected 130, data\.raw_size"):
        competition_store(data.folder, data.heads, size=(10, 13), progress=False)


def test_missing_folder(tmp_path, written):
    with pytest.raises(InputError, match=r"data\.dir=.*nowhere: no such folder"):
        competition_store(tmp_path / "nowhere", written().heads, progress=False)


def test_index_column_of_pandas_is_no_pixel(written):
    data = written(rows=(7, 5))
    change(FIRST, lambda t: t.append_column("__index_level_0__", pa.array(range(7))))(data.folder)
    store = competition_store(data.folder, data.heads, size=data.size, progress=False)
    assert np.array_equal(store.images, data.images)


@pytest.mark.parametrize("seed", range(24))
def test_flipped_bytes_are_refused_or_read_but_never_a_crash(written, seed):
    data = written(rows=(40,), write_page_checksum=bool(seed % 2))
    path = data.folder / FIRST
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for at in rng.integers(0, len(content), 3):
        content[at] ^= 1 << int(rng.integers(0, 8))
    path.write_bytes(content)
    try:
        store = competition_store(data.folder, data.heads, size=data.size, progress=False)
    except InputError as refusal:
        assert FIRST in str(refusal)  # noqa: PT017 - either outcome is right, what else is raised is not
        assert not list((data.folder / ".okkhor").glob("train-*/"))
    else:
        assert store.images.shape == data.images.shape
