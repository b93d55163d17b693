"""The competition's files: find them, check them, read labels and blocks of pixels. Never pandas, never a file whole.

    train_image_data_0.parquet … _3   image_id and a uint8 column a pixel, "0" to "32331", row by row of the image
    train.csv                         image_id, a column of labels a head, grapheme (the text)
    test_image_data_0.parquet … _3    as above, without labels

Pixels are checked as they are read, everything else beforehand. What is wrong is an InputError that names the file.
Format: https://www.kaggle.com/competitions/bengaliai-cv19/data
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from okkhor.data.layout import ID, TEXT
from okkhor.data.sources import SourceFile, SourceFolder
from okkhor.data.wide import pixel_rows
from okkhor.errors import InputError
from okkhor.heads import Heads

Split = Literal["train", "test"]
LABELS = "train.csv"
PANDAS_INDEX = "__index_level_0__"  # what pandas adds when it writes a frame with an index


@dataclass(frozen=True)
class CompetitionFiles:
    """The image files of one split, in their order, and its label file (None for test)."""

    folder: SourceFolder
    images: list[SourceFile]
    labels: SourceFile | None

    @classmethod
    def find(cls, data_dir: str | Path, split: Split) -> "CompetitionFiles":
        """List a local or remote data folder.

        Raises InputError naming the file that is missing: the label file, any image file, or one out of the numbering.
        """
        folder = SourceFolder(data_dir)
        pattern = re.compile(rf"{split}_image_data_(\d+)\.parquet")
        found = {int(m.group(1)): file for name, file in folder.files.items() if (m := pattern.fullmatch(name))}
        if not found:
            raise InputError(
                f"{folder.path(f'{split}_image_data_0.parquet')}: no such file; expected the competition's files in "
                f"data.dir (data.download=true fetches them, data=synthetic makes some)"
            )
        for number in range(max(found) + 1):
            if number not in found:
                raise InputError(
                    f"{folder.path(f'{split}_image_data_{number}.parquet')}: no such file, "
                    f"though number {max(found)} is there; fetch it again"
                )
        if split == "train" and LABELS not in folder.files:
            raise InputError(f"{folder.path(LABELS)}: no such file; expected the labels of the training images")
        labels = folder.files[LABELS] if split == "train" else None
        return cls(folder, [found[number] for number in sorted(found)], labels)

    def sources(self) -> list[SourceFile]:
        return [*self.images, *([self.labels] if self.labels else [])]

    def read_ids(self, pixels: int) -> list[pa.ChunkedArray]:
        """The image ids of each image file, after checking names, types and number of its columns.

        pixels: expected number of pixel columns. Raises InputError naming file and column, or file and row (from
        0) of an id that is missing or was there before.
        """
        ids = [self._ids_of(file, pixels) for file in self.images]

        def message(row: int, value: str) -> str:
            file, row_in_file = self._place(ids, row)
            return f"{self.folder.path(file.name)}: row {row_in_file}: {ID} {value!r} was there before"

        _first_twice(_joined(ids), message)
        return ids

    def read_labels(self, heads: Heads) -> pa.Table:
        """image_id, the label columns (int64) and, where it is there, grapheme, a row a line of train.csv.

        Raises InputError naming file, line and column of what is not a class of its head.
        """
        assert self.labels is not None
        name, path = self.labels.name, self.folder.path(self.labels.name)
        # as text first, so that a message can show what stands there
        text = csv.ConvertOptions(column_types={c: pa.string() for c in (ID, TEXT, *heads.columns)})
        with self.folder.open(name) as source, self.folder.reading(name, "CSV"):
            table = csv.read_csv(source, convert_options=text)
        columns = {ID: "the ids of the images", **{head.column: f"data.heads.{head.name}.column" for head in heads}}
        for column, what in columns.items():
            if column not in table.column_names:
                raise InputError(f"{path}: no column {column!r} ({what}); it has {', '.join(table.column_names)}")
        keep = [ID, *heads.columns, *([TEXT] if TEXT in table.column_names and TEXT not in heads.columns else [])]
        table = table.select(keep)
        for head in heads:
            values = [_class_number(value) for value in table.column(head.column).to_pylist()]
            for row, value in enumerate(values):
                if value is None or not 0 <= value < head.classes:
                    raise InputError(
                        f"{path}: line {row + 2}: {head.column} is {table.column(head.column)[row].as_py()!r}; "
                        f"expected an integer from 0 to {head.classes - 1} (data.heads.{head.name}.classes)"
                    )
            table = table.set_column(
                table.schema.get_field_index(head.column), head.column, pa.array(values, pa.int64())
            )
        _first_twice(table.column(ID), lambda row, value: f"{path}: line {row + 2}: {ID} {value!r} was there before")
        return table

    def index(self, pixels: int, heads: Heads) -> pa.Table:
        """What goes beside the images: a row an image in the order of the files, with its labels where it has some.

        Raises InputError for an image without labels and, since it means that image files are missing, for labels
        without an image.
        """
        ids = self.read_ids(pixels)
        every_id = _joined(ids)
        if self.labels is None:
            return pa.table({ID: every_id})
        labels, path = self.read_labels(heads), self.folder.path(self.labels.name)
        rows = pc.index_in(every_id, value_set=labels.column(ID))
        if rows.null_count:
            row = rows.is_null().index(pa.scalar(True)).as_py()
            file, row_in_file = self._place(ids, row)
            raise InputError(
                f"{self.folder.path(file.name)}: row {row_in_file}: {ID} {every_id[row].as_py()!r} "
                f"has no labels in {path}; add its line, or fetch both files again"
            )
        if len(labels) > len(every_id):
            unused = pc.filter(labels.column(ID), pc.invert(pc.is_in(labels.column(ID), value_set=every_id)))
            raise InputError(
                f"{path}: {len(unused)} of its {len(labels)} ids, {unused[0].as_py()!r} the first, have no image in "
                f"{self.images[0].name} to {self.images[-1].name}; fetch the missing files, "
                "or keep only the lines of the images that you want"
            )
        return labels.take(rows)

    def pixel_bands(
        self, pixels: int, scratch: Path, advance: Callable[[float], None] = lambda _: None
    ) -> Iterator[np.ndarray]:
        """All images in order as bands uint8 (n, pixels), each valid until the next; see `okkhor.data.wide`.

        Raises InputError naming the file, and the row where a pixel is missing.
        """
        for file in self.images:
            yield from self._bands_of(file, pixels, scratch, lambda share: advance(share / len(self.images)))

    def _bands_of(
        self, file: SourceFile, pixels: int, scratch: Path, advance: Callable[[float], None]
    ) -> Iterator[np.ndarray]:
        with self.folder.open(file.name) as source:
            with self.folder.reading(file.name, "Parquet"):
                parquet = self._parquet(source)
                groups = [parquet.metadata.row_group(k).num_rows for k in range(parquet.num_row_groups)]

            def read(group: int, columns: list[str]) -> pa.Table:
                with self.folder.reading(file.name, "Parquet"):
                    table = parquet.read_row_group(group, columns=columns)
                    if len(table) != groups[group]:
                        raise pa.ArrowInvalid(f"row group {group} has {len(table)} of {groups[group]} rows")
                for name, values in zip(table.column_names, table.columns, strict=True):
                    if values.null_count:
                        row = sum(groups[:group]) + values.is_null().index(pa.scalar(True)).as_py()
                        raise InputError(
                            f"{self.folder.path(file.name)}: row {row}: pixel {name!r} is missing; expected 0 to 255"
                        )
                return table

            yield from pixel_rows(read, groups, [str(k) for k in range(pixels)], scratch, advance)

    def _ids_of(self, file: SourceFile, pixels: int) -> pa.ChunkedArray:
        with self.folder.open(file.name) as source, self.folder.reading(file.name, "Parquet"):
            parquet = self._parquet(source)
            self._check_columns(file, parquet.schema_arrow, pixels)
            ids = parquet.read(columns=[ID]).column(ID).cast(pa.string())
        if not len(ids):
            raise InputError(f"{self.folder.path(file.name)}: no rows; expected images")
        if ids.null_count:
            row = ids.is_null().index(pa.scalar(True)).as_py()
            raise InputError(f"{self.folder.path(file.name)}: row {row}: {ID} is missing")
        return ids

    def _parquet(self, source: pa.NativeFile) -> pq.ParquetFile:
        # pre_buffer joins the small reads of neighboring columns: a must over a network, a waste of memory on disk
        return pq.ParquetFile(source, pre_buffer=self.folder.remote, page_checksum_verification=True)

    def _check_columns(self, file: SourceFile, schema: pa.Schema, pixels: int) -> None:
        path = self.folder.path(file.name)
        types = dict(zip(schema.names, schema.types, strict=True))
        if ID not in types:
            raise InputError(f"{path}: no column {ID!r}; expected {ID} and {pixels} columns of pixels")
        kind = types.pop(ID)
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise InputError(f"{path}: column {ID!r} is {kind}; expected string")
        types.pop(PANDAS_INDEX, None)
        if len(types) != pixels:
            raise InputError(
                f"{path}: {len(types)} columns of pixels; expected {pixels}, data.raw_size's height times width"
            )
        for k, (name, kind) in enumerate(types.items()):
            if name != str(k):
                raise InputError(f"{path}: column {name!r}; expected {str(k)!r}, pixels are numbered from 0 in order")
            if kind != pa.uint8():
                raise InputError(f"{path}: column {name!r} is {kind}; expected uint8")

    def _place(self, ids: list[pa.ChunkedArray], row: int) -> tuple[SourceFile, int]:
        """The file in which a row of all files together stands, and its row there."""
        for file, column in zip(self.images, ids, strict=True):
            if row < len(column):
                return file, row
            row -= len(column)
        raise AssertionError(row)


def _joined(columns: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    return pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string())


def _first_twice(values: pa.ChunkedArray, message: Callable[[int, str], str]) -> None:
    if len(values.unique()) == len(values):
        return
    seen: set[str] = set()
    for row, value in enumerate(values.to_pylist()):
        if value in seen:
            raise InputError(message(row, value))
        seen.add(value)


def _class_number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else None
