"""From a glyph's bitmap to the pen strokes behind it.

The bitmap is thinned to a skeleton of one pixel, the skeleton read as a graph (ends and junctions, with paths between),
and at every junction the two paths that go straight on become one stroke, as a pen would have drawn them. The thinning
is that of Zhang and Suen (https://doi.org/10.1145/357994.358023), as scikit-image has it.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

STRAIGHT_ON = np.cos(np.radians(125.0))  # two paths at a junction are one stroke when they open by more than this
LOOK_AHEAD = 10  # pixels along a path from which its direction at a junction is taken
KNOB = 1.75  # times the usual half-width of a stroke: wider than any crossing of two
LOOP = 1.35  # radius of the loop that a pen makes, times that of the printed knob
SHORTEST_WITH_KNOB = 24  # pixels of skeleton
NEIGHBORS = ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))  # straight ones first


@dataclass
class _Path:
    """A skeleton path between two nodes of the graph; a node is None where the path ends freely."""

    points: np.ndarray  # float32 (N, 2): x, y in pixels
    ends: list[int | None] = field(default_factory=lambda: [None, None])


def trace(bitmap: np.ndarray) -> list[np.ndarray]:
    """The strokes of a glyph: float32 (N, 2) polylines of x, y in pixels, y down; closed ones repeat their first point.

    bitmap: uint8 (H, W), ink bright. A dot comes back as a stroke of two points.
    """
    if not bitmap.size:
        return []
    from skimage.morphology import skeletonize  # takes half a second, which a data set that is there need not wait

    ink = np.pad(bitmap > 127, 2)
    radius = cv2.distanceTransform(ink.astype(np.uint8), cv2.DIST_L2, 3)
    skeleton = skeletonize(ink)
    strokes = _join(*_graph(skeleton, radius))
    for x, y, loop in _knobs(skeleton, radius):
        strokes = [_stop_at(stroke, x, y, loop) for stroke in strokes]
        angle = np.linspace(0, 2 * np.pi, 25)
        strokes.append(np.stack([x + loop * np.cos(angle), y + loop * np.sin(angle)], axis=1).astype(np.float32))
    return [points - 2.0 for points in strokes if len(points) > 1]


def _knobs(skeleton: np.ndarray, radius: np.ndarray) -> list[tuple[float, float, float]]:
    """Middle and radius of a loop for every filled knob of the print, where a pen makes a small loop."""
    along = np.where(skeleton, radius, 0.0)
    if np.count_nonzero(skeleton) < SHORTEST_WITH_KNOB:  # all of it may be a dot
        return []
    usual = float(np.median(radius[skeleton]))
    loops = []
    while (widest := float(along.max())) > KNOB * usual:
        y, x = np.unravel_index(int(along.argmax()), along.shape)
        cv2.circle(along, (int(x), int(y)), round(1.6 * widest), 0.0, -1)  # a knob has one loop
        loops.append((float(x), float(y), LOOP * widest))
    return loops


def _stop_at(stroke: np.ndarray, x: float, y: float, loop: float) -> np.ndarray:
    """The stroke without those of its ends that lie inside a loop."""
    outside = np.flatnonzero(np.hypot(stroke[:, 0] - x, stroke[:, 1] - y) >= loop)
    return stroke[outside[0] : outside[-1] + 1] if len(outside) > 2 else stroke[:0]


def _graph(skeleton: np.ndarray, radius: np.ndarray) -> tuple[list[_Path], list[np.ndarray]]:
    """Paths and the places of the junctions between them."""
    on = skeleton.astype(np.uint8)
    # the crossing number: how often a walk around the pixel steps from paper to ink; 3 and more is a junction
    ring = [
        np.roll(on, shift, (0, 1)) for shift in ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
    ]
    crossings = sum((ring[k] == 0) & (ring[(k + 1) % 8] == 1) for k in range(8))
    square = (
        on & ring[0] & ring[2] & ring[1]
    )  # four pixels in a square, as in the middle of a cross, hide their crossings
    junction = ((on == 1) & (crossings >= 3)).astype(np.uint8) | square
    # with its neighbors, for the paths that meet at a junction touch one another around it
    junction = (cv2.dilate(junction, np.ones((3, 3), np.uint8)) & on) == 1
    count, cluster = cv2.connectedComponents(junction.astype(np.uint8), connectivity=8)
    nodes = [np.argwhere(cluster == k)[:, ::-1].mean(0).astype(np.float32) for k in range(1, count)]

    rest = on.astype(bool) & ~junction
    left = {(int(y), int(x)) for y, x in np.argwhere(rest)}
    node_at = {(int(y), int(x)): int(cluster[y, x]) - 1 for y, x in np.argwhere(junction)}

    def around(place: tuple[int, int]) -> list[tuple[int, int]]:
        return [(place[0] + dy, place[1] + dx) for dy, dx in NEIGHBORS]

    paths = []
    starts = sorted(place for place in left if sum(n in left for n in around(place)) <= 1)
    for start in [*starts, *sorted(left)]:  # first the paths with ends, then what is left: closed rings
        if start not in left:
            continue
        walk, place = [], start
        while place is not None:
            left.discard(place)
            walk.append(place)
            place = next((n for n in around(place) if n in left), None)
        points = np.array(walk, np.float32)[:, ::-1]
        path = _Path(points)
        for side, end in enumerate((walk[0], walk[-1])):
            touching = [node_at[n] for n in around(end) if n in node_at]
            if side == 1 and len(walk) == 1:  # one pixel between two junctions: do not choose the same one twice
                touching = [n for n in touching if n != path.ends[0]]
            path.ends[side] = touching[0] if touching else None
        if path.ends == [None, None] and len(walk) > 3 and walk[-1] in around(walk[0]):
            path.points = np.concatenate([points, points[:1]])
        paths.append(path)
    return _clean(paths, nodes, radius), nodes


def _clean(paths: list[_Path], nodes: list[np.ndarray], radius: np.ndarray) -> list[_Path]:
    """Drop the spurs that thinning leaves, and let junctions that a crossing was split into fall together."""
    merged = list(range(len(nodes)))

    def root(k: int) -> int:
        while merged[k] != k:
            k = merged[k]
        return k

    reach = [float(radius[int(y), int(x)]) for x, y in nodes]
    kept = []
    for path in paths:
        a, b = path.ends
        length = len(path.points)
        if (a is None) != (b is None) and length < 1.2 * reach[a if b is None else b]:
            continue
        if a is not None and b is not None and root(a) != root(b) and length < 1.1 * max(reach[a], reach[b]):
            middle = (nodes[root(a)] + nodes[root(b)]) / 2
            merged[root(b)] = root(a)
            nodes[root(a)][:] = middle
            continue
        kept.append(path)
    for path in kept:
        path.ends = [None if end is None else root(end) for end in path.ends]
        ends = [nodes[end][None] if end is not None else path.points[:0] for end in path.ends]
        path.points = np.concatenate([ends[0], path.points, ends[1]])
        if path.ends == [None, None] and len(path.points) == 1:
            path.points = np.concatenate([path.points, path.points + np.float32([[0.5, 0.5]])])
    return kept


def _join(paths: list[_Path], nodes: list[np.ndarray]) -> list[np.ndarray]:
    """Make one stroke of the two paths that go straight on through a junction."""
    at_node: dict[int, list[tuple[int, int]]] = {}
    for k, path in enumerate(paths):
        for side, end in enumerate(path.ends):
            if end is not None:
                at_node.setdefault(end, []).append((k, side))
    partner: dict[tuple[int, int], tuple[int, int]] = {}
    for node, arms in at_node.items():
        ways = []
        for k, side in arms:
            points = paths[k].points if side == 0 else paths[k].points[::-1]
            way = points[min(LOOK_AHEAD, len(points) - 1)] - nodes[node]
            ways.append(way / max(float(np.hypot(*way)), 1e-6))
        pairs = [
            (float(ways[i] @ ways[j]), i, j) for i in range(len(arms)) for j in range(i) if arms[i][0] != arms[j][0]
        ]
        for cosine, i, j in sorted(pairs):
            if (cosine < STRAIGHT_ON or len(arms) == 2) and arms[i] not in partner and arms[j] not in partner:
                partner[arms[i]], partner[arms[j]] = arms[j], arms[i]

    done: set[int] = set()
    strokes = []
    # start at the outer ends first, so that only rings of paths are begun in their middle
    order = [(k, side) for k in range(len(paths)) for side in (0, 1) if (k, side) not in partner]
    for k, side in [*order, *((k, 0) for k in range(len(paths)))]:
        if k in done:
            continue
        pieces = []
        while k not in done:
            done.add(k)
            points = paths[k].points if side == 0 else paths[k].points[::-1]
            pieces.append(points if not pieces else points[1:])
            following = partner.get((k, 1 - side))
            if following is None:
                break
            k, side = following
        strokes.append(np.concatenate(pieces))
    return strokes


def resample(points: np.ndarray, *, spacing: float | None = None, count: int | None = None) -> np.ndarray:
    """The same polyline with points at equal distances: `count` of them, or as many as lie about `spacing` apart."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    if count is None:
        assert spacing, "spacing or count"
        count = max(2, round(float(along[-1]) / spacing) + 1)
    at = np.linspace(0.0, along[-1], count)
    return np.stack([np.interp(at, along, points[:, 0]), np.interp(at, along, points[:, 1])], axis=1).astype(np.float32)


def smooth(points: np.ndarray, sigma: float) -> np.ndarray:
    """A polyline with its corners rounded by a Gaussian of `sigma` points; open ends stay where they are."""
    if len(points) < 4 or sigma <= 0:
        return points
    reach = min(int(3 * sigma) + 1, len(points) - 1)
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    if np.allclose(points[0], points[-1]):
        before, after = points[-1 - reach : -1], points[1 : 1 + reach]
    else:  # mirrored through the end point, which keeps it in place
        before, after = 2 * points[0] - points[reach:0:-1], 2 * points[-1] - points[-2 : -2 - reach : -1]
    long = np.concatenate([before, points, after])
    return np.stack([np.convolve(long[:, k], kernel, "valid") for k in (0, 1)], axis=1).astype(np.float32)
