"""Simplifies closed outlines within a tolerance, without new contacts between them.

The algorithm of Douglas and Peucker ("Algorithms for the reduction of the number of points required
to represent a digitized line or its caricature", 1973) for all rings at once: each pass splits
every segment that is too far from the outline. Then it goes on to split segments that touch
others, so what is left of contacts is what the outlines had before.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ring = NDArray[np.int64]
"""(N, 2) XY, closed: the last vertex connects to the first."""
_Ints = NDArray[np.int64]
_Bools = NDArray[np.bool_]
_Floats = NDArray[np.float64]

_MAX_SPLITS = 40  # passes that split a segment that is too far away once
_MAX_CONFLICTS = 6  # passes that split one in conflict; after either, it becomes exact
_MAX_PAIRS = 20_000_000  # of close segments; real outlines have thousands
_PAIRS_AT_ONCE = 1_000_000
_MIN_CELL_PX = 8


def kept_vertices(rings: Sequence[Ring], pinned: Sequence[_Ints], tolerance: float) -> list[_Ints]:
    """The indices of the vertices that are enough for each ring, in order.

    No vertex of a ring is further than `tolerance`, in pixels, from its simplified outline; for
    rings that are small or thin it is less, so that none vanishes. Simplified segments neither
    touch each other nor pass over another ring; where an outline touches itself, it stays exact.
    `pinned` are indices of vertices to keep, for each ring.
    """
    outlines = _Outlines.of(rings, tolerance)
    kept = outlines.first_kept(pinned)
    splits = conflicts = 0
    while True:
        segments = outlines.segments(kept)
        split = segments.distance > segments.tolerance
        splits += 1
        if not split.any():
            split = _conflicts(segments)
            conflicts += 1
        if not split.any():
            break
        if splits <= _MAX_SPLITS and conflicts <= _MAX_CONFLICTS:
            kept[segments.farthest[split]] = True
        else:
            kept |= split[segments.of_vertex]
    return [np.flatnonzero(kept[first:last]) for first, last in itertools.pairwise(outlines.bounds)]


@dataclass(frozen=True, eq=False)
class _Segments:
    """The S segments between kept vertices.

    Attributes:
        start, end: (S, 2) XY.
        ring: (S,) the index of the ring.
        next: (S,) the index of the following segment of the ring.
        distance: (S,) of the farthest vertex that the segment replaces; 0 if it is exact.
        farthest: (S,) the index of that vertex.
        tolerance: (S,) of the ring.
        of_vertex: for each vertex of all rings, the segment that begins at or replaces it.
    """

    start: _Ints
    end: _Ints
    ring: _Ints
    next: _Ints
    distance: _Floats
    farthest: _Ints
    tolerance: _Floats
    of_vertex: _Ints


@dataclass(frozen=True, eq=False)
class _Outlines:
    """The vertices of all rings, one after the other; `bounds` says where each begins and ends."""

    xy: _Ints
    bounds: list[int]
    ring_of: _Ints
    tolerance: _Floats

    @classmethod
    def of(cls, rings: Sequence[Ring], tolerance: float) -> "_Outlines":
        bounds = [0, *itertools.accumulate(map(len, rings))]
        ring_of = np.repeat(np.arange(len(rings)), np.diff(bounds))
        xy = np.concatenate(rings)
        after = _following(bounds)
        area = np.add.reduceat(_cross(xy, xy[after]), bounds[:-1]) / 2
        length = np.add.reduceat(np.hypot(*(xy[after] - xy).T), bounds[:-1])
        # A quarter of the mean width: nothing changes in a ring around one pixel, or in a line.
        quarter = np.abs(area) / np.maximum(length, 1) / 2
        return cls(xy, bounds, ring_of, np.minimum(tolerance, quarter))

    def first_kept(self, pinned: Sequence[_Ints]) -> _Bools:
        """Keeps the pinned vertices, and of each ring the first and the one farthest from it."""
        starts = np.array(self.bounds[:-1])
        offsets = self.xy - self.xy[starts[self.ring_of]]
        kept = np.zeros(len(self.xy), np.bool_)
        kept[starts] = True
        kept[_last_maximum((offsets**2).sum(axis=1), starts)] = True
        for start, vertices in zip(starts, pinned, strict=True):
            kept[start + vertices] = True
        return kept

    def segments(self, kept: _Bools) -> _Segments:
        begins = np.flatnonzero(kept)
        ring = self.ring_of[begins]
        of_vertex = np.cumsum(kept) - 1
        following = _following(np.searchsorted(begins, self.bounds).tolist())
        start, end = self.xy[begins], self.xy[begins[following]]
        distance = _distance(self.xy, start[of_vertex], end[of_vertex])
        farthest = _last_maximum(distance, begins)
        return _Segments(
            start,
            end,
            ring,
            following,
            distance[farthest],
            farthest,
            self.tolerance[ring],
            of_vertex,
        )


def _conflicts(segments: _Segments) -> _Bools:
    """Which segments that are not exact touch another, or have one of another ring very close.

    A segment with another ring within its tolerance may have passed over it.
    """
    conflict = np.zeros(len(segments.ring), np.bool_)
    inexact = np.flatnonzero(segments.distance > 0)
    if not inexact.size:
        return conflict
    cell = max(_MIN_CELL_PX, int(np.ceil(segments.tolerance.max())))
    own, own_cells = _cells(segments, inexact, cell, reach=1)
    others, other_cells = _cells(segments, np.arange(len(segments.ring)), cell, reach=0)
    first = np.searchsorted(other_cells, own_cells)
    counts = np.searchsorted(other_cells, own_cells, side="right") - first
    total = np.cumsum(counts)
    if total[-1] > _MAX_PAIRS:
        conflict[inexact] = True
        return conflict
    for at in range(0, int(total[-1]), _PAIRS_AT_ONCE):
        pairs = np.arange(at, min(at + _PAIRS_AT_ONCE, int(total[-1])))
        row = np.searchsorted(total, pairs, side="right")
        other = others[first[row] + pairs - (total[row] - counts[row])]
        conflict[_in_conflict(segments, own[row], other)] = True
    return conflict


def _in_conflict(segments: _Segments, one: _Ints, other: _Ints) -> _Ints:
    """Those of the segments `one` that touch the segment at the same place in `other`."""
    is_far = (one == other) | (segments.next[one] == other) | (segments.next[other] == one)
    one, other = one[~is_far], other[~is_far]
    a, b, c, d = (ends[which] for which in (one, other) for ends in (segments.start, segments.end))
    boxes_meet = (
        (np.minimum(a, b) <= np.maximum(c, d)) & (np.minimum(c, d) <= np.maximum(a, b))
    ).all(axis=1)
    sides = [np.sign(_cross(q - p, r - p)) for p, q, r in ((a, b, c), (a, b, d))]
    other_sides = [np.sign(_cross(q - p, r - p)) for p, q, r in ((c, d, a), (c, d, b))]
    touches = boxes_meet & (sides[0] * sides[1] <= 0) & (other_sides[0] * other_sides[1] <= 0)
    is_close = _distance(c, a, b) <= segments.tolerance[one]
    is_close &= segments.ring[one] != segments.ring[other]
    return one[touches | is_close]


def _cells(segments: _Segments, which: _Ints, cell: int, reach: int) -> tuple[_Ints, _Ints]:
    """The cells of a square grid that segments run through; with `reach` 1 also those around them.

    Returns the indices of segments and of their cells, in the order of the cells.
    """
    start, end = segments.start[which], segments.end[which]
    steps = np.abs(end - start).max(axis=1) // cell + 2
    owner = np.repeat(np.arange(len(which)), steps)
    position = np.arange(len(owner)) - np.repeat(np.cumsum(steps) - steps, steps)
    share = position / (steps - 1)[owner]
    cells = ((start[owner] + (end - start)[owner] * share[:, None]) // cell).astype(np.int64)
    around = np.arange(-reach, reach + 1)
    shifts = np.stack(np.meshgrid(around, around), axis=-1).reshape(-1, 2)
    cells = (cells[:, None] + shifts).reshape(-1, 2)
    width = int(np.concatenate([segments.start, segments.end])[:, 0].max()) // cell + 3
    keys = (cells[:, 1] + 1) * width + cells[:, 0] + 1
    count = len(segments.ring)
    both = np.unique(keys * count + which[np.repeat(owner, len(shifts))])
    return both % count, both // count


def _following(bounds: Sequence[int]) -> _Ints:
    """For each index, the next one in its ring."""
    after = np.arange(1, bounds[-1] + 1)
    after[np.array(bounds[1:]) - 1] = bounds[:-1]
    return after


def _cross(one: _Ints, other: _Ints) -> _Ints:
    return one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]


def _distance(points: _Ints, start: _Ints, end: _Ints) -> _Floats:
    """Of each point from its segment."""
    along, offset = end - start, points - start
    squared = (along**2).sum(axis=1)
    share = np.clip((along * offset).sum(axis=1) / np.maximum(squared, 1), 0, 1)
    return np.asarray(np.hypot(*(offset - along * share[:, None]).T))


def _last_maximum(values: NDArray[np.generic], starts: _Ints) -> _Ints:
    """The index of the highest value in each of the groups that begin at `starts`."""
    order = np.lexsort((values, np.repeat(starts, np.diff([*starts, len(values)]))))
    return np.asarray(order[[*(starts[1:] - 1), len(values) - 1]])
