"""Images that are there twice: the same pixels, or nearly the same after shifting and scaling."""

from dataclasses import dataclass

import cv2
import numpy as np

from okkhor.data.resize import resize
from okkhor.reports.eda.measuring import Measures
from okkhor.reports.eda.section import Advance, DataSet, Section, counted, spaced
from okkhor.reports.eda.thumbnails import Line, draw_lines, pictures

BITS = 7  # of 64 that two fingerprints may differ in
BUCKET = 1000  # images of like quarters that each is compared with
ROWS = 2000  # images that are compared at once
MOST_HELD = 2_000_000  # pairs that fingerprints may propose: the closest, where there are more
MOST_CHECKED = 20_000  # pairs that are compared in their images, closest fingerprints first
ALIKE = 0.92  # correlation of the ink of two near-duplicates, both cut to their ink
SIDE, PLAY = 64, 5  # pixels at which it is taken, and how far one may be moved on the other
SHOWN = 24


@dataclass(frozen=True)
class Duplicates:
    """pairs: (P, 2) rows, the earlier first, of which the first `exact` have the same pixels; alike: (P,) correlation
    of their ink; found: how many pairs the fingerprints proposed, of which `checked` were compared."""

    pairs: np.ndarray
    exact: int
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
    return Duplicates(pairs, len(same), np.concatenate([np.ones(len(same)), alike[kept]]), len(near), len(checked))


def near_pairs(fingerprints: np.ndarray, bits: int = BITS, bucket: int = BUCKET) -> np.ndarray:
    """Pairs of numbers (P, 2) whose fingerprints, uint64 (N,), differ in at most 7 bits, closest first.

    Of two that differ in fewer than eight bits some quarter differs in one at most, so only such are compared that
    share a quarter but for one bit; where more than `bucket` share one, each only with the first so many of them.
    """
    assert bits <= 7, "four quarters, one bit of each, find at most seven"
    assert len(fingerprints) < 1 << 28, "two numbers and a distance fit into 64 bits"
    parts, held = [np.empty(0, np.int64)], 0
    for quarter in range(4):
        key = ((fingerprints >> np.uint64(16 * quarter)) & np.uint64(0xFFFF)).astype(np.int64)
        order = np.argsort(key, kind="stable")
        key, prints = key[order], fingerprints[order]
        count = np.bincount(key, minlength=1 << 16)
        start = np.cumsum(count) - count
        for flipped in (0, *(1 << bit for bit in range(16))):
            other = key ^ flipped
            at = np.flatnonzero((count[other] > 0) & (other >= key))  # each pair of keys once
            for first in range(0, len(at), ROWS):
                rows = at[first : first + ROWS]
                number = np.minimum(count[other[rows]], bucket)
                one = np.repeat(rows, number)
                within = np.arange(len(one)) - np.repeat(np.cumsum(number) - number, number)
                two = np.repeat(start[other[rows]], number) + within
                apart = np.bitwise_count(prints[one] ^ prints[two])
                close = (apart <= bits) & (one != two)
                pair = np.sort(np.stack([order[one[close]], order[two[close]]]), axis=0)
                parts.append(apart[close].astype(np.int64) << 56 | pair[0] << 28 | pair[1])
                held += len(parts[-1])
                if held > 2 * MOST_HELD:
                    parts = [np.unique(np.concatenate(parts))[:MOST_HELD]]
                    held = len(parts[0])
    found = np.unique(np.concatenate(parts))[:MOST_HELD]
    return np.stack([found >> 28 & (1 << 28) - 1, found & (1 << 28) - 1], axis=1)


def likeness(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlation (n,) of the ink of images (n, H, W), both cut to their ink and laid where they fit best.

    So neither where a letter stands nor how large it is counts.
    """
    found = np.empty(len(one))
    for k, pair in enumerate(zip(one, other, strict=True)):
        a, b = (cv2.GaussianBlur(255 - resize(image, (SIDE, SIDE), crop=True), (0, 0), 1.2) for image in pair)
        inner = np.ascontiguousarray(a[PLAY:-PLAY, PLAY:-PLAY])
        found[k] = min(1.0, float(cv2.matchTemplate(b, inner, cv2.TM_CCOEFF_NORMED).max()))
    return found


def duplicates(data: DataSet, found: Duplicates) -> Section:
    """Pairs, those of different labels first: one of the two must be wrong."""
    pairs, alike = found.pairs, found.alike
    differ = (data.labels[pairs[:, 0]] != data.labels[pairs[:, 1]]).any(axis=1)
    order = np.lexsort((-alike, ~differ))
    exact = found.exact
    says = (
        f"{counted(exact, 'image repeats', 'images repeat')} another pixel by pixel, "
        f"{counted(len(pairs) - exact, 'pair looks', 'pairs look')} the same once cut to the ink; "
        f"{counted(int(differ.sum()), 'pair has', 'pairs have')} different labels. "
        "Copies on both sides of a split make a score look better than it is."
    )
    if found.checked < found.found:
        least = "at least " if found.found == MOST_HELD else ""
        says += f" Fingerprints propose {least}{found.found:,} pairs; the closest {found.checked:,} were compared."
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
        kind = "the same pixels" if k < exact else f"likeness {alike[k]:.2f}"
        cards.append(
            f'<div class="card"><div class="pictures pair">{pictures(both, [ids[row] for row in pairs[k]])}</div>'
            f'<p><b class="{"wrong" if differ[k] else ""}">{spaced(text)}</b> <small>{kind}</small></p></div>'
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
