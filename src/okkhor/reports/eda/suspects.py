"""Labels that may be wrong: those a trained network contradicts, or without one, those the nearest images do."""

from dataclasses import dataclass
from html import escape

import numpy as np

from okkhor.reports.eda.opinions import Opinions
from okkhor.reports.eda.section import DataSet, Section, counted, spaced
from okkhor.reports.eda.thumbnails import Line, draw_lines, pictures

NEIGHBORS, AGREE = 8, 0.75  # images that are asked, and the share of them that has to say the same
CHANCE = 1e-3  # neighbors of one class are a sign where so many of it are unlikely among any images
QUERIES = 20_000  # images whose neighbors are looked for
SURE = 0.9  # probability from which a network's other answer counts
SHOWN = 36


@dataclass(frozen=True)
class Suspects:
    """Most suspicious first. row, head, other: (S,) int64, the image, the head's number, the class it may be;
    score: (S,), how many think so, 0 to 1; shown: (S, n) rows of images that speak for the other class, n may be 0."""

    row: np.ndarray
    head: np.ndarray
    other: np.ndarray
    score: np.ndarray
    shown: np.ndarray
    neighbors: int = NEIGHBORS  # that were asked, fewer of a few images


def contradicted(data: DataSet, opinions: Opinions) -> Suspects:
    """Labels that a network gives little and another class at least `SURE` probability."""
    labels = data.labels[opinions.rows]
    gap = np.where(opinions.read_as != labels, opinions.sure - opinions.given, -1.0)
    gap[opinions.sure < SURE] = -1.0
    at, head = np.nonzero(gap > 0)
    order = np.argsort(-gap[at, head], kind="stable")
    at, head = at[order], head[order]
    none = np.empty((len(at), 0), np.int64)
    return Suspects(opinions.rows[at], head, opinions.read_as[at, head], opinions.sure[at, head], none)


def outvoted(data: DataSet, shapes: np.ndarray, blank: np.ndarray) -> tuple[Suspects, list[float], int]:
    """Labels that none of an image's nearest ones has, while nearly all of these agree on another.

    shapes: (N, D), near where images look alike; blank: (N,) bool, left out. Returns the suspects; for each head how
    often the neighbors' majority has the label, which says how far they can be trusted; and how many images were asked
    about.
    """
    from sklearn.neighbors import NearestNeighbors

    rows = np.flatnonzero(~blank)
    asked = np.random.default_rng([data.seed, 3]).permutation(len(rows))[:QUERIES]
    number = min(NEIGHBORS, len(rows) - 1)
    if number < 2:
        nothing = np.empty(0, np.int64)
        return Suspects(nothing, nothing, nothing, np.empty(0), np.empty((0, 0), np.int64)), [], 0
    index = NearestNeighbors(n_neighbors=number + 1, algorithm="brute").fit(shapes[rows])
    distance, near = index.kneighbors(shapes[rows[asked]])
    itself = near == asked[:, None]
    itself[~itself.any(axis=1), -1] = True  # copies of an image may stand before it
    keep = ~itself
    near, distance = near[keep].reshape(len(asked), number), distance[keep].reshape(len(asked), number)
    found, right = [], []
    for k, head in enumerate(data.heads):
        common = np.bincount(data.labels[:, k], minlength=head.classes) / len(data)
        votes, own = data.labels[rows[near], k], data.labels[rows[asked], k]
        most, share = _majority(votes)
        right.append(float((most == own).mean()))
        chance = number * share * np.log(np.maximum(common[most], 1e-9))  # of so many of that class, drawn blindly
        alone = (most != own) & ~(votes == own[:, None]).any(axis=1)
        at = np.flatnonzero(alone & (share >= AGREE) & (chance < np.log(CHANCE)))
        near_by = distance[at].mean(axis=1)
        found.append(np.stack([at, np.full(len(at), k), most[at], share[at], chance[at], near_by], axis=1))
    every = np.concatenate(found)
    every = every[np.lexsort((every[:, 5], every[:, 4].round(3)))]
    at, head, other = every[:, :3].astype(np.int64).T
    return Suspects(rows[asked[at]], head, other, every[:, 3], rows[near[at, :3]], number), right, len(asked)


def _majority(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Most frequent label of each row of votes (n, k), and its share."""
    times = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
    at = times.argmax(axis=1)
    each = np.arange(len(votes))
    return votes[each, at], times[each, at] / votes.shape[1]


def suspects(data: DataSet, found: Suspects, asked: int, right: list[float], opinions: Opinions | None) -> Section:
    """The most suspicious labels. right: how often the neighbors have the label, by head; of a network not needed."""
    by_head = np.bincount(found.head, minlength=len(data.heads))
    numbers = ", ".join(f"{n:,} of {h.name}" for h, n in zip(data.heads, by_head, strict=True) if n) or "none"
    if opinions is None:
        shares = ", ".join(f"{h.name} {share:.0%}" for h, share in zip(data.heads, right, strict=False))
        doubt = ", so most of these are lookalikes" if min(right, default=0) < 0.9 else ""
        says = (
            f"{counted(asked, 'image')} were held against their {found.neighbors} nearest by small images. Labels "
            f"that none of these has, while most agree on another: {numbers}. Neighbors alone are right about "
            f"{shares or 'nothing'}{doubt}; a trained network (--run) sees more."
        )
    else:
        says = (
            f"{opinions.run} read {counted(asked, 'image')}. Labels to which it prefers another class with a "
            f"probability of at least {SURE:.0%}: {numbers}. Those it was not trained on are marked as held out; "
            "of the others it has seen the label and still disagrees."
        )
    held_out = {} if opinions is None or opinions.held_out is None else dict(
        zip(opinions.rows.tolist(), opinions.held_out.tolist(), strict=True)
    )  # fmt: skip
    ids = data.store.image_ids
    table: list[list[object]] = [["image_id", "head", "label", "text", "may be", "text", "score"]]
    cards, lines = [], []
    for place, (row, k, other, score) in enumerate(
        zip(found.row.tolist(), found.head.tolist(), found.other.tolist(), found.score.tolist(), strict=True)
    ):
        head, own = data.heads[k], int(data.labels[row, k])
        texts = [data.naming.of(head, label) for label in (own, other)]
        table.append([ids[row], head.name, own, texts[0], other, texts[1], f"{score:.3f}"])
        if place >= SHOWN:
            continue
        text = f"{data.spelled(head, own)} → {data.spelled(head, other)}"
        votes = f"{round(score * found.neighbors)} of {found.neighbors}"
        note = f"{head.name}, {f'{score:.1%}' if opinions else votes}"
        note += ", held out" if held_out.get(row) else ""
        shown = np.array([row, *found.shown[place]], np.int64)
        images = data.images[shown]
        says_each = [f"{data.whole(data.labels[r])}, {ids[r]}" for r in shown]
        cards.append(
            f'<div class="card"><div class="pictures lead">{pictures(images, says_each)}</div>'
            f"<p><b>{spaced(text)}</b> <small>{escape(note)}</small></p>"
            f"<p><small>labeled {spaced(data.whole(data.labels[row]))}, {escape(ids[row])}</small></p></div>"
        )
        lines.append(Line(text, note, images))
    more = (
        f'<p class="note">{len(cards)} of {len(found.row):,}; all are in suspects.csv, most suspicious first.</p>'
        if cards
        else ""
    )
    figure = None
    if lines:
        half = -(-len(lines) // 2)
        what = "Given label → what the network reads." if opinions else "Given label → that of the images beside it."
        each = max(len(line.images) for line in lines)
        columns = [("most suspicious first", lines[:half]), ("", lines[half:])]
        figure = draw_lines("Labels that may be wrong", what, columns, max(each, 2), 2.2)
    return Section(
        "suspects",
        "Labels that may be wrong",
        says,
        f'<div class="cards">{"".join(cards)}</div>{more}',
        figure,
        shown=False,
        tiles=[(f"{len(found.row):,}", "suspicious labels")],
        table=table if cards else [],
    )
