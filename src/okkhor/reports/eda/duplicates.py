"""Images that are there twice: the same pixels, or nearly the same after shifting and scaling."""

from dataclasses import dataclass
from html import escape

import cv2
import numpy as np

from okkhor.data.resize import resize
from okkhor.reports.eda.measuring import Measures
from okkhor.reports.eda.section import Advance, DataSet, Section, counted
from okkhor.reports.eda.thumbnails import Line, draw_lines, pictures

BITS = 3  # of 64 that two fingerprints may differ in: then one of four quarters is the same, by which pairs are found
BUCKET = 1000  # images of an equal quarter that each is compared with
MOST_CHECKED = 20_000  # pairs that are compared in their images, closest fingerprints first
ALIKE = 0.93  # correlation of the ink of two near-duplicates, both cut to their ink
SIDE = 64  # pixels at which it is taken
SHOWN = 24


@dataclass(frozen=True)
class Duplicates:
    """pairs: (P, 2) rows, the earlier first; alike: (P,) correlation of their ink, 1 where all pixels are the same;
    found: how many pairs the fingerprints proposed, of which `checked` were compared."""

    pairs: np.ndarray
    alike: np.ndarray
    found: int
    checked: int


def find_duplicates(data: DataSet, measures: Measures, advance: Advance) -> Duplicates:
    """Each image that repeats an earlier one exactly with that one; then pairs that look the same."""
    first, of_row = np.unique(measures.digest, axis=0, return_index=True, return_inverse=True)[1:]
    original = first[of_row.reshape(-1)]
    copies = np.flatnonzero((original != np.arange(len(original))) & ~measures.blank)
    same = np.stack([original[copies], copies], axis=1)
    single = np.sort(first[~measures.blank[first]])
    near = single[near_pairs(measures.fingerprint[single])]
    checked = near[:MOST_CHECKED]
    alike = np.empty(len(checked))
    for start in range(0, len(checked), 256):
        part = checked[start : start + 256]
        alike[start : start + 256] = likeness(data.images[part[:, 0]], data.images[part[:, 1]])
        advance(min(start + 256, len(checked)), len(checked))
    kept = alike >= ALIKE
    pairs = np.concatenate([same, checked[kept]]).astype(np.int64)
    return Duplicates(pairs, np.concatenate([np.ones(len(same)), alike[kept]]), len(near), len(checked))


def near_pairs(fingerprints: np.ndarray, bits: int = BITS, bucket: int = BUCKET) -> np.ndarray:
    """Pairs of numbers (P, 2) whose fingerprints, uint64, differ in at most 3 bits, closest first.

    Fewer than four differing bits leave one of four quarters untouched, so only images that share a quarter are
    compared; of more than `bucket` that share one, each only with so many of those that follow it.
    """
    assert bits <= 3, "four quarters find at most three"
    found = [np.empty((0, 3), np.int64)]
    for quarter in range(4):
        key = (fingerprints >> np.uint64(16 * quarter)) & np.uint64(0xFFFF)
        order = np.argsort(key, kind="stable")
        key, sorted_prints = key[order], fingerprints[order]
        at = np.arange(len(order))
        for step in range(1, min(bucket, len(order))):
            at = at[at + step < len(order)]
            at = at[key[at] == key[at + step]]
            if not len(at):
                break
            apart = np.bitwise_count(sorted_prints[at] ^ sorted_prints[at + step])
            close = at[apart <= bits]
            pair = np.sort(np.stack([order[close], order[close + step]], axis=1), axis=1)
            found.append(np.concatenate([apart[apart <= bits, None].astype(np.int64), pair], axis=1))
    return np.unique(np.concatenate(found), axis=0)[:, 1:]


def likeness(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlation (n,) of the ink of images (n, H, W), both cut to their ink, so that a shift or scale is none."""
    inks = []
    for images in (one, other):
        small = resize(images, (SIDE, SIDE), crop=True)
        soft = np.stack([cv2.GaussianBlur(255 - image, (0, 0), 1.0) for image in small]).reshape(len(small), -1)
        centered = soft.astype(np.float32) - soft.mean(axis=1, keepdims=True)
        inks.append(centered / (np.linalg.norm(centered, axis=1, keepdims=True) + 1e-6))
    return (inks[0] * inks[1]).sum(axis=1)


def duplicates(data: DataSet, found: Duplicates) -> Section:
    """Pairs, those of different labels first: one of the two must be wrong."""
    pairs, alike = found.pairs, found.alike
    differ = (data.labels[pairs[:, 0]] != data.labels[pairs[:, 1]]).any(axis=1)
    order = np.lexsort((-alike, ~differ))
    exact = int((alike == 1).sum())
    says = (
        f"{counted(exact, 'image repeats', 'images repeat')} another pixel by pixel, "
        f"{counted(len(pairs) - exact, 'pair looks', 'pairs look')} the same once cut to the ink; "
        f"{counted(int(differ.sum()), 'pair has', 'pairs have')} different labels. "
        "Copies on both sides of a split make a score look better than it is."
    )
    if found.checked < found.found:
        says += f" Fingerprints propose {found.found:,} pairs, of which the closest {found.checked:,} were compared."
    ids = data.store.image_ids
    table: list[list[object]] = [["image_id", "image_id of the copy", "likeness", "same labels"]]
    table += [[ids[a], ids[b], f"{alike[k]:.3f}", "no" if differ[k] else "yes"]
              for k in order for a, b in [pairs[k].tolist()]]  # fmt: skip
    shown = order[:SHOWN]
    cards, lines = [], []
    for k in shown:
        both = data.images[pairs[k]]
        texts = [data.whole(data.labels[row]) for row in pairs[k]]
        text = " ≠ ".join(texts) if differ[k] else texts[0]
        kind = "the same pixels" if alike[k] == 1 else f"likeness {alike[k]:.2f}"
        cards.append(
            f'<div class="card"><div class="pictures pair">{pictures(both, [ids[row] for row in pairs[k]])}</div>'
            f'<p><b class="{"wrong" if differ[k] else ""}">{escape(text)}</b> <small>{kind}</small></p></div>'
        )
        lines.append(Line(text, kind, both))
    more = f"<p class='note'>{len(shown)} of {len(pairs):,} pairs; all are in duplicates.csv.</p>" if pairs.size else ""
    figure = None
    if lines:
        half = -(-len(lines) // 2)
        columns = [("different labels first", lines[:half]), ("", lines[half:])]
        figure = draw_lines(
            "Images that are there twice", "Pairs that look the same once cut to their ink.", columns, 2, 2.2
        )
    return Section(
        "duplicates",
        "Images that are there twice",
        says,
        f'<div class="cards">{"".join(cards)}</div>{more}',
        figure,
        shown=False,
        tiles=[(f"{len(pairs):,}", "pairs of duplicates")],
        table=table if len(pairs) else [],
    )
