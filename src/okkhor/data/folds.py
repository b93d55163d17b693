"""Which images validate: folds in which every label is equally common, or whole graphemes held out.

Folds are written beside the images as train_folds.csv (image_id, the label columns, grapheme where there is one,
fold), so that every run, process and peer uses the same; a file that is there already is used as it is.
Iterative stratification: Sechidis, Tsoumakas, Vlahavas (2011), https://doi.org/10.1007/978-3-642-23808-6_10
"""

import csv
import logging
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

from okkhor.data.layout import ID, TEXT, Store
from okkhor.errors import InputError

FOLDS, SEED = 5, 0
COLUMN = "fold"
log = logging.getLogger(__name__)


def assign_folds(labels: np.ndarray, folds: int = FOLDS, seed: int = SEED) -> np.ndarray:
    """The fold of each image, int64 (N,), from labels int64 (N, heads): 0 to folds - 1.

    Every class of every head is spread over the folds as evenly as the other heads allow.
    Raises InputError when there are fewer than two folds, or fewer images than folds.
    """
    if folds < 2:
        raise InputError(f"data.folds: expected at least 2, got {folds}")
    if len(labels) < folds:
        raise InputError(f"data.folds: {folds} folds of {len(labels)} images; expected at most as many folds as images")
    one_hot = np.concatenate([one_hot_labels(labels[:, head]) for head in range(labels.shape[1])], axis=1)
    assigned = np.empty(len(labels), np.int64)
    splitter = MultilabelStratifiedKFold(n_splits=folds, shuffle=True, random_state=seed)
    for fold, (_, rows) in enumerate(splitter.split(one_hot, one_hot)):
        assigned[rows] = fold
    return assigned


def folds_path(store: Store, folds: int = FOLDS, seed: int = SEED) -> Path:
    """Where the folds of a store stand: train_folds.csv, and a file of its own for any other number or seed."""
    usual = (folds, seed) == (FOLDS, SEED)
    return store.path / ("train_folds.csv" if usual else f"train_folds_{folds}_seed{seed}.csv")


def folds_of(store: Store, folds: int = FOLDS, seed: int = SEED) -> np.ndarray:
    """The fold of each image of a store, int64 (N,): read from its file, which is written first where it is missing.

    Raises InputError naming the file when its images are not those of the store or its folds not 0 to folds - 1.
    """
    path = folds_path(store, folds, seed)
    if path.exists():
        return _read(path, store, folds)
    assigned = assign_folds(_labels(store), folds, seed)
    try:
        _write(path, store, assigned)
    except OSError as error:  # a store on a read-only disk: whoever computes them gets the same folds
        log.warning("%s: cannot be written (%s); the folds are computed anew in every run", path, error.strerror)
    return assigned


def split_unseen(store: Store, fold: int, folds: int = FOLDS, seed: int = SEED) -> np.ndarray:
    """Images to hold out, bool (N,), such that training sees none of their label combinations (graphemes).

    About one in `folds` of the combinations, spread over the classes; but one that alone shows some class stays in
    training, as a class without a training image could not be learned. Raises InputError when there is only one
    head (its combinations are its classes) or too few combinations.
    """
    labels = _labels(store)
    if labels.shape[1] < 2:
        raise InputError(
            "data.split=unseen: expected two heads or more, whose labels can meet in new combinations; use fold"
        )
    if not 0 <= fold < folds:
        raise InputError(f"data.fold: expected 0 to {folds - 1}, got {fold}")
    combinations, of_row, images = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
    held_out = assign_folds(combinations, folds, seed) == fold
    for head in range(labels.shape[1]):
        classes = combinations[:, head]
        for missing in np.setdiff1d(classes[held_out], classes[~held_out]):
            candidates = np.flatnonzero(classes == missing)
            held_out[candidates[np.argmax(images[candidates])]] = False
    if not held_out.any():
        raise InputError(f"data.split=unseen: {len(combinations)} label combinations leave none to hold out; use fold")
    return held_out[of_row.reshape(-1)]


def _labels(store: Store) -> np.ndarray:
    if store.labels is None:
        raise InputError(f"{store.path}: has no labels; folds need those of a training split")
    return store.labels


def one_hot_labels(labels: np.ndarray) -> np.ndarray:
    """bool (N, K); at least two classes wide, without which the stratifier sees no multilabel problem."""
    return labels[:, None] == np.arange(max(2, labels.max() + 1))


def _write(path: Path, store: Store, assigned: np.ndarray) -> None:
    text = [] if store.graphemes is None else [store.graphemes]
    header = [ID, *store.columns, *([TEXT] if text else []), COLUMN]
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(zip(store.image_ids, *_labels(store).T.tolist(), *text, assigned.tolist(), strict=True))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path, store: Store, folds: int) -> np.ndarray:
    what_to_do = "delete the file and it is written anew"
    try:
        types = pa_csv.ConvertOptions(column_types={ID: pa.string(), COLUMN: pa.int64()}, include_columns=[ID, COLUMN])
        table = pa_csv.read_csv(path, convert_options=types)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: expected columns {ID} and {COLUMN} ({error}); {what_to_do}") from error
    rows = pc.index_in(pa.chunked_array([store.image_ids], pa.string()), value_set=table.column(ID))
    if rows.null_count or len(table) != len(store):
        raise InputError(f"{path}: its images are not those of the store {store.path}; {what_to_do}")
    if table.column(COLUMN).null_count:
        raise InputError(f"{path}: an image has no fold; {what_to_do}")
    assigned = table.column(COLUMN).take(rows).to_numpy()
    found = sorted(set(assigned.tolist()))
    if found != list(range(folds)):
        shown = ", ".join(map(str, found[:12]))
        raise InputError(f"{path}: holds folds {shown}, expected 0 to {folds - 1} (data.folds={folds}); {what_to_do}")
    return assigned
