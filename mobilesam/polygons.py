"""Masks as polygons and back, in the two frames that annotation formats use.

`"edges"`: continuous coordinates, the pixel in the corner is the square from (0, 0) to (1, 1);
a pixel belongs to a polygon when its centre does. COCO and pycocotools read polygons so.
`"centres"`: a vertex names a pixel, and the pixels that the outline runs through belong to the
polygon. OpenCV, Pillow and with them labelme and the readers of YOLO labels fill so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from mobilesam.masks import Mask, mask_bounds_xyxy

Frame = Literal["edges", "centres"]

Outline: TypeAlias = NDArray[np.int64]
"""(N, 2) XY, closed: the last vertex is followed by the first."""

_MAX_BRIDGE_ENDS = 2048
_MERGED_AT_ONCE = 8
_Hooks: TypeAlias = Mapping[int, Sequence[Outline]]


def mask_outlines(mask: Mask, frame: Frame) -> list[Outline]:
    """The outline of every part of the mask, exact to the pixel.

    Parts are 8-connected. A hole is cut in by a bridge: the outline runs to it through the part,
    around it and back the same way, which encloses nothing and adds no pixel.

    Args:
        mask: (H, W) bool.
        frame: which coordinates; in the frame `"centres"` a single pixel is an outline of one
            vertex and a straight line one of two.

    Returns:
        An outline a part, without collinear vertices; none for an empty mask.
    """
    x0, y0, x1, y1 = mask_bounds_xyxy(mask)
    if x0 == x1:
        return []
    pixels = mask[y0:y1, x0:x1].astype(np.uint8)
    if frame == "edges":
        # OpenCV traces pixel centres. Among quarters of pixels those on either side of an edge
        # 2X - 1 | 2X are the nearest to it, and both halve to X below.
        pixels = pixels.repeat(2, axis=0).repeat(2, axis=1)
    contours, hierarchy = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cycles = [contour.reshape(-1, 2).astype(np.int64) for contour in contours]
    holes_of: dict[int, list[int]] = {}
    for index, parent in enumerate(hierarchy[0][:, 3].tolist()):
        if parent < 0:
            holes_of.setdefault(index, [])
        else:
            holes_of.setdefault(parent, []).append(index)
    outlines = []
    for outer, holes in holes_of.items():
        outline = _with_holes(pixels, cycles[outer], [cycles[hole] for hole in holes])
        if frame == "edges":
            outline = (outline + 1) // 2
        outlines.append(_without_collinear(outline) + np.array([x0, y0]))
    return outlines


def count_outlines(mask: Mask) -> int:
    """How many parts and holes the mask has: the cost of its polygons is the square of that."""
    x0, y0, x1, y1 = mask_bounds_xyxy(mask)
    pixels = np.pad(mask[y0:y1, x0:x1].astype(np.uint8), 1)
    parts = cv2.connectedComponents(pixels, connectivity=8)[0] - 1
    holes = cv2.connectedComponents(1 - pixels, connectivity=4)[0] - 2  # without what is around it
    return parts + max(holes, 0)


def has_holes(mask: Mask) -> bool:
    """Whether the mask encloses background; diagonal gaps between its pixels are closed."""
    pixels = mask.astype(np.uint8)
    hierarchy = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)[1]
    return hierarchy is not None and bool((hierarchy[0][:, 3] >= 0).any())


def joined_outline(outlines: Sequence[Outline]) -> Outline:
    """One outline for all parts, for formats that know no parts.

    As in ultralytics' merge_multi_segment the parts are joined by bridges there and back between
    close vertices; here each part is joined to the nearest of those joined before. A bridge
    leads over background, so a reader that fills the pixels of the outline adds a thin line.

    Args:
        outlines: one or more.
    """
    # Which vertices a bridge may start from is thinned out: all pairs of them are compared.
    stride = sum(map(len, outlines)) // _MAX_BRIDGE_ENDS + 1
    ends = [np.arange(0, len(outline), stride) for outline in outlines]
    part_of = np.repeat(np.arange(len(outlines)), [len(indices) for indices in ends])
    index_of = np.concatenate(ends)
    xy = np.concatenate([outline[i] for outline, i in zip(outlines, ends, strict=True)])
    # Prim's algorithm: for every end its square distance to the tree and the nearest end there.
    distance = np.full(len(xy), np.iinfo(np.int64).max)
    nearest = np.zeros(len(xy), np.int64)
    outside = np.ones(len(xy), bool)
    starts = {0: 0}
    bridges: list[tuple[int, int, int]] = []
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
        starts[part] = int(index_of[end])
        bridges.append((part, int(part_of[anchor]), int(index_of[anchor])))
    hooks: dict[int, dict[int, list[Outline]]] = defaultdict(lambda: defaultdict(list))
    for child, parent, at in reversed(bridges):
        hooks[parent][at].append(_woven(outlines[child], hooks[child], starts[child]))
    return _woven(outlines[0], hooks[0])


def fill_edges(polygons: Sequence[NDArray[np.float64]], size_hw: tuple[int, int]) -> Mask:
    """The union of polygons in the frame `"edges"`, as pycocotools rasterises it.

    Args:
        polygons: one or more (N, 2) XY within the photo, N at least 3.
        size_hw: (H, W) of the photo.

    Returns:
        (H, W) bool.
    """
    height, width = size_hw
    rles: Any = coco_mask.frPyObjects([p.ravel().tolist() for p in polygons], height, width)
    # A few at a time: of all at once the time is the square, and nothing else could go on.
    while len(rles) > 1:
        rles = [
            coco_mask.merge(rles[at : at + _MERGED_AT_ONCE])
            for at in range(0, len(rles), _MERGED_AT_ONCE)
        ]
    filled: Mask = coco_mask.decode(rles[0]).astype(bool)
    return filled


def fill_centres(polygon: NDArray[np.float64], size_hw: tuple[int, int]) -> Mask:
    """A polygon in the frame `"centres"`: its inside and the pixels of its outline.

    Args:
        polygon: (N, 2) XY within the photo, N at least 3; a fraction names the pixel it lies in.
        size_hw: (H, W) of the photo.

    Returns:
        (H, W) bool.
    """
    height, width = size_hw
    vertices = np.minimum(np.floor(polygon), (width - 1, height - 1)).astype(np.int32)
    outline = np.zeros(size_hw, np.uint8)
    cv2.polylines(outline, [vertices], isClosed=True, color=(1,))
    # Not cv2.fillPoly: its time is the square of the edges that a row crosses.
    inside = fill_edges([vertices.astype(np.float64) + 0.5], size_hw)
    return np.logical_or(inside, outline)


def outline_length(polygon: NDArray[np.float64]) -> float:
    """Pixels that the closed outline (N, 2) runs through: what filling it costs."""
    steps = np.abs(polygon - np.roll(polygon, 1, axis=0))
    return float(steps.max(axis=1).sum())


def _with_holes(pixels: NDArray[np.uint8], outer: Outline, holes: Sequence[Outline]) -> Outline:
    """The outer cycle with all holes of the part bridged in.

    From its leftmost vertex a hole's bridge runs left through the part until the background. There
    it meets the outer cycle or that of a hole which begins further left, so the bridges
    are a tree.
    """
    if not holes:
        return outer
    cycles = [outer, *holes]
    starts = [0, *(int(hole[:, 0].argmin()) for hole in holes)]
    begins = np.array([-1, *(hole[:, 0].min() for hole in holes)])
    keys = np.concatenate([cycle[:, 1] * pixels.shape[1] + cycle[:, 0] for cycle in cycles])
    cycle_of = np.repeat(np.arange(len(cycles)), [len(cycle) for cycle in cycles])
    vertex_of = np.concatenate([np.arange(len(cycle)) for cycle in cycles])
    order = np.argsort(keys, kind="stable")
    sorted_keys = keys[order]
    hooks: dict[int, dict[int, list[Outline]]] = defaultdict(lambda: defaultdict(list))
    for hole in (np.argsort(begins[1:], kind="stable")[::-1] + 1).tolist():
        x, y = cycles[hole][starts[hole]].tolist()
        background = np.flatnonzero(pixels[y, :x] == 0)
        end_x = int(background[-1]) + 1 if background.size else 0
        first, last = np.searchsorted(sorted_keys, y * pixels.shape[1] + end_x + np.array([0, 1]))
        meets = order[first:last]
        anchor = meets[begins[cycle_of[meets]].argmin()]
        hooks[int(cycle_of[anchor])][int(vertex_of[anchor])].append(
            _woven(cycles[hole], hooks[hole], starts[hole])
        )
    return _woven(outer, hooks[0])


def _woven(cycle: Outline, hooks: _Hooks, start: int = 0) -> Outline:
    """The cycle from `start`, with a trip there and back to every outline hooked to a vertex."""
    count = len(cycle)
    turned = np.roll(cycle, -start, axis=0)
    pieces, done = [], 0
    for index, at in sorted(((index - start) % count, index) for index in hooks):
        pieces.append(turned[done : index + 1])
        for outline in hooks[at]:
            pieces += [outline, outline[:1], turned[index : index + 1]]
        done = index + 1
    return np.concatenate([*pieces, turned[done:]])


def _without_collinear(outline: Outline) -> Outline:
    """The outline without vertices that lie between others; all steps run in eight directions."""
    steps = outline - np.roll(outline, 1, axis=0)
    outline = outline[steps.any(axis=1)] if steps.any() else outline[:1]
    heading = np.sign(outline - np.roll(outline, 1, axis=0))
    turns = (np.roll(heading, -1, axis=0) != heading).any(axis=1)
    return outline[turns] if turns.any() else outline
