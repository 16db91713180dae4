"""Converts masks to polygons and back, in the two coordinate frames of annotation formats.

`"edges"`: continuous coordinates. The top left pixel is the square from (0, 0) to (1, 1), and a
pixel belongs to a polygon if its centre does. COCO and pycocotools use this frame.
`"centres"`: a vertex is the index of a pixel, and the pixels on the outline belong to the polygon.
OpenCV and Pillow, and therefore labelme and readers of YOLO labels, use this frame.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from mobilesam.masks import CocoRle, Mask, mask_bounds_xyxy, rle_from_positions, rle_union
from mobilesam.simplification import kept_vertices

Outline: TypeAlias = NDArray[np.int64]
"""(N, 2) XY, closed: the last vertex connects to the first."""

_MAX_BRIDGE_ENDS = 2048
_LINE_BATCH_PX = 200_000  # of lines that are drawn at a time, which take 100 bytes a pixel
_Bridge: TypeAlias = tuple[int, int, int, int]
"""An outline and its vertex; the outline that it is inserted into and the vertex there."""
_Group: TypeAlias = tuple[list[int], list[_Bridge]]
"""The outlines of one part, the outer one first, and the bridges between them."""


def mask_outlines(
    mask: Mask, frame: Literal["edges", "centres"], tolerance: float = 0.0
) -> list[Outline]:
    """Traces the outline of every 8-connected part of a mask.

    It is exact to the pixel, or, with a `tolerance` above 0, has far fewer vertices: the others are
    at most `tolerance` pixels away from it. Parts and holes stay, and outlines that did not touch
    still do not, see `kept_vertices`.

    Holes are connected to the outline by bridges: the outline runs through the part to the hole,
    around it, and back the same way. A bridge encloses no area, so it adds no pixel.

    Returns one outline per part, without collinear vertices; none for an empty mask. In
    `"centres"`, a single pixel is an outline of one vertex and a straight line an outline of two.
    """
    x0, y0, x1, y1 = mask_bounds_xyxy(mask)
    if x0 == x1:
        return []
    pixels = mask[y0:y1, x0:x1].astype(np.uint8)
    if frame == "edges":
        # OpenCV traces pixel centres. At twice the resolution, the pixels 2X - 1 and 2X lie on
        # either side of edge X, and (n + 1) // 2 below maps both to X.
        pixels = pixels.repeat(2, axis=0).repeat(2, axis=1)
    contours, hierarchy = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    parents = hierarchy[0][:, 3]
    cycles = [contour.reshape(-1, 2).astype(np.int64) for contour in contours]
    groups = []
    for outer in np.flatnonzero(parents < 0).tolist():
        part = [outer, *np.flatnonzero(parents == outer).tolist()]
        groups.append((part, _bridges_to_holes(pixels, [cycles[index] for index in part])))
    if frame == "edges":
        cycles = [(cycle + 1) // 2 for cycle in cycles]
    if tolerance > 0:
        cycles, groups = _simplified(cycles, groups, tolerance)
    return [
        _without_collinear(_joined([cycles[index] for index in part], bridges)) + np.array([x0, y0])
        for part, bridges in groups
    ]


def count_parts_and_holes(mask: Mask) -> tuple[int, int]:
    """The numbers of 8-connected parts and of holes; tracing costs the square of their sum."""
    x0, y0, x1, y1 = mask_bounds_xyxy(mask)
    pixels = np.pad(mask[y0:y1, x0:x1].astype(np.uint8), 1)
    parts = cv2.connectedComponents(pixels, connectivity=8)[0] - 1
    background = cv2.connectedComponents(1 - pixels, connectivity=4)[0] - 1
    return parts, background - 1  # the surroundings are not a hole


def joined_outline(outlines: Sequence[Outline]) -> Outline:
    """Joins the outlines of all parts into one, for formats with one polygon per object.

    Like ultralytics' merge_multi_segment, this connects parts by bridges between close vertices;
    here the bridges are a minimum spanning tree. They cross the background, so readers that fill
    the pixels on the outline add thin lines. `outlines` has one or more, in the frame `"centres"`.
    """
    # Only every n-th vertex can be the end of a bridge, because all pairs are compared.
    stride = sum(map(len, outlines)) // _MAX_BRIDGE_ENDS + 1
    ends = [np.arange(0, len(outline), stride) for outline in outlines]
    part_of = np.repeat(np.arange(len(outlines)), [len(indices) for indices in ends])
    index_of = np.concatenate(ends)
    xy = np.concatenate([outline[i] for outline, i in zip(outlines, ends, strict=True)])
    # Prim's algorithm: each end's squared distance to the tree, and the nearest end in the tree.
    distance = np.full(len(xy), np.iinfo(np.int64).max)
    nearest = np.zeros(len(xy), np.int64)
    outside = np.ones(len(xy), bool)
    bridges: list[_Bridge] = []
    part = 0
    for _ in range(len(outlines) - 1):
        own = np.flatnonzero(part_of == part)
        outside[own] = False
        rest = np.flatnonzero(outside)
        offsets = xy[rest, None] - xy[None, own]
        squares = np.einsum("roc,roc->ro", offsets, offsets)
        closest = squares.argmin(axis=1)
        closer = squares[np.arange(len(rest)), closest] < distance[rest]
        nearest[rest[closer]] = own[closest[closer]]
        distance[rest[closer]] = squares[closer, closest[closer]]
        end = int(rest[distance[rest].argmin()])
        part, anchor = int(part_of[end]), int(nearest[end])
        bridges.append((part, int(index_of[end]), int(part_of[anchor]), int(index_of[anchor])))
    return _joined(outlines, reversed(bridges))


def rle_from_edges(polygons: Sequence[NDArray[np.float64]], size_hw: tuple[int, int]) -> CocoRle:
    """The mask of (H, W) that is the union of one or more polygons in the frame `"edges"`.

    Each is (N, 2) XY, N at least 3; what is outside the photo is left out. It takes time and memory
    for the pixels on the outlines only.
    """
    height, width = size_hw
    rles: Any = coco_mask.frPyObjects([p.ravel().tolist() for p in polygons], height, width)
    return rle_union(rles)


def rle_from_centres(polygon: NDArray[np.float64], size_hw: tuple[int, int]) -> CocoRle:
    """The mask of (H, W) of a polygon in the frame `"centres"`, including its outline.

    It is (N, 2) XY, N at least 3; what is outside the photo is left out. Fractions are rounded
    down, and the photo's right and lower edges stand for its last pixels. It takes time and memory
    for the pixels on the outline only.
    """
    height, width = size_hw
    vertices = np.floor(polygon).astype(np.int64)
    vertices -= vertices == (width, height)
    ends = np.stack([vertices, np.roll(vertices, -1, axis=0)], axis=1)
    batches = np.array_split(ends, int(outline_length(polygon)) // _LINE_BATCH_PX + 1)
    positions = np.concatenate([_line_positions(batch, size_hw) for batch in batches])
    outline = rle_from_positions(np.sort(positions), size_hw)
    return rle_union([rle_from_edges([vertices.astype(np.float64) + 0.5], size_hw), outline])


def clipped_polygon(
    polygon: NDArray[np.float64], low: float, high_xy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The part of a polygon (N, 2) between `low` and `high_xy`; perhaps without vertices.

    After Sutherland and Hodgman ("Reentrant polygon clipping", 1974): parts stay connected by lines
    along the border.
    """
    if (polygon >= low).all() and (polygon <= high_xy).all():
        return polygon
    for axis in (0, 1):
        for sign, limit in ((1, low), (-1, high_xy[axis])):
            depth = sign * (polygon[:, axis] - limit)
            after, depth_after = np.roll(polygon, -1, axis=0), np.roll(depth, -1)
            crosses = (depth < 0) != (depth_after < 0)
            share = depth[crosses] / (depth - depth_after)[crosses]
            cuts = polygon[crosses] + (after - polygon)[crosses] * share[:, None]
            cuts[:, axis] = limit
            inside = depth >= 0
            order = np.concatenate([np.flatnonzero(inside), np.flatnonzero(crosses) + 0.5])
            polygon = np.concatenate([polygon[inside], cuts])[order.argsort(kind="stable")]
    return polygon


def outline_length(polygon: NDArray[np.float64]) -> float:
    """Number of pixels on the closed outline (N, 2), which is the cost of filling it."""
    steps = np.abs(polygon - np.roll(polygon, 1, axis=0))
    return float(steps.max(axis=1).sum())


def _line_positions(lines: NDArray[np.int64], size_hw: tuple[int, int]) -> NDArray[np.int64]:
    """The column-major positions of the pixels on lines (N, 2, 2) XY, as far as they are in (H, W).

    These are Bresenham's lines as `cv2.polylines` draws them: from left to right, and where the
    exact line passes midway between two pixels, the one on the side of its start is taken.
    """
    height, width = size_hw
    is_backward = lines[:, 1, :1] < lines[:, 0, :1]
    starts = np.where(is_backward, lines[:, 1], lines[:, 0])
    steps = np.where(is_backward, lines[:, 0], lines[:, 1]) - starts
    lengths = np.abs(steps).max(axis=1)
    line = np.repeat(np.arange(len(lines)), lengths + 1)
    along = np.arange(len(line)) - (np.cumsum(lengths + 1) - lengths - 1)[line]
    length = np.maximum(lengths, 1)[line]

    def coordinates(axis: int) -> NDArray[np.int64]:
        distances = (2 * np.abs(steps[line, axis]) * along + length - 1) // (2 * length)
        return np.asarray(starts[line, axis] + np.sign(steps[line, axis]) * distances)

    x, y = coordinates(0), coordinates(1)
    is_inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return np.asarray(x[is_inside] * height + y[is_inside])


def _bridges_to_holes(pixels: NDArray[np.uint8], cycles: Sequence[Outline]) -> list[_Bridge]:
    """Connects the holes of a part to its outer outline, which is the first of `cycles`.

    The bridge of a hole runs left from its leftmost vertex, through the part, up to the background.
    There it meets the outer outline or that of a hole that begins further left, so the bridges form
    a tree.
    """
    if len(cycles) == 1:
        return []
    left_ends = np.array([-1, *(hole[:, 0].min() for hole in cycles[1:])])
    keys = np.concatenate([cycle[:, 1] * pixels.shape[1] + cycle[:, 0] for cycle in cycles])
    cycle_of = np.repeat(np.arange(len(cycles)), [len(cycle) for cycle in cycles])
    vertex_of = np.concatenate([np.arange(len(cycle)) for cycle in cycles])
    order = np.argsort(keys, kind="stable")
    sorted_keys = keys[order]
    bridges: list[_Bridge] = []
    for hole in (np.argsort(left_ends[1:], kind="stable")[::-1] + 1).tolist():
        start = int(cycles[hole][:, 0].argmin())
        x, y = cycles[hole][start].tolist()
        background = np.flatnonzero(pixels[y, :x] == 0)
        end_x = int(background[-1]) + 1 if background.size else 0
        first, last = np.searchsorted(sorted_keys, y * pixels.shape[1] + end_x + np.array([0, 1]))
        met = order[first:last]
        anchor = met[left_ends[cycle_of[met]].argmin()]
        bridges.append((hole, start, int(cycle_of[anchor]), int(vertex_of[anchor])))
    return bridges


def _simplified(
    cycles: Sequence[Outline], groups: Sequence[_Group], tolerance: float
) -> tuple[list[Outline], list[_Group]]:
    """Removes vertices from the outlines of a mask, but not the ends of bridges."""
    found: list[list[int]] = [[] for _ in cycles]
    for part, bridges in groups:
        for child, start, parent, at in bridges:
            found[part[child]].append(start)
            found[part[parent]].append(at)
    ends = [np.array(indices, np.int64) for indices in found]
    corners = [_corners(cycle, own) for cycle, own in zip(cycles, ends, strict=True)]
    rings = [cycle[indices] for cycle, indices in zip(cycles, corners, strict=True)]
    pinned = [np.searchsorted(*pair) for pair in zip(corners, ends, strict=True)]
    kept = [
        indices[which]
        for indices, which in zip(corners, kept_vertices(rings, pinned, tolerance), strict=True)
    ]

    def moved(part: Sequence[int], index: int, vertex: int) -> int:
        return int(np.searchsorted(kept[part[index]], vertex))

    return [cycle[indices] for cycle, indices in zip(cycles, kept, strict=True)], [
        (
            part,
            [
                (child, moved(part, child, start), parent, moved(part, parent, at))
                for child, start, parent, at in bridges
            ],
        )
        for part, bridges in groups
    ]


def _joined(cycles: Sequence[Outline], bridges: Iterable[_Bridge]) -> Outline:
    """Inserts all outlines into the first; the bridges are a tree, its leaves come first."""
    detours: dict[int, dict[int, list[Outline]]] = defaultdict(lambda: defaultdict(list))
    for child, start, parent, at in bridges:
        detours[parent][at].append(_with_detours(cycles[child], detours[child], start))
    return _with_detours(cycles[0], detours[0], 0)


def _with_detours(cycle: Outline, detours: Mapping[int, Sequence[Outline]], start: int) -> Outline:
    """The outline from vertex `start` on; `detours` has, by vertex, what is inserted there."""
    count = len(cycle)
    rotated = np.roll(cycle, -start, axis=0)
    pieces, done = [], 0
    for index, at in sorted(((index - start) % count, index) for index in detours):
        pieces.append(rotated[done : index + 1])
        for outline in detours[at]:
            pieces += [outline, outline[:1], rotated[index : index + 1]]
        done = index + 1
    return np.concatenate([*pieces, rotated[done:]])


def _without_collinear(outline: Outline) -> Outline:
    return outline[_corners(outline)]


def _corners(outline: Outline, also: Sequence[int] | NDArray[np.int64] = ()) -> NDArray[np.int64]:
    """The indices of vertices where the outline changes its direction, and of those in `also`."""
    kept = (outline != np.roll(outline, 1, axis=0)).any(axis=1)
    path = outline[kept]
    before, after = path - np.roll(path, 1, axis=0), np.roll(path, -1, axis=0) - path
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    kept[kept] = turns | ((before * after).sum(axis=1) < 0)
    kept[0] |= not kept.any()
    kept[list(also)] = True
    return np.flatnonzero(kept)
