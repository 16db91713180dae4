"""Simplified outlines: how far they are, and that nothing crosses, swallows or vanishes."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from mobilesam.polygons import (
    count_parts_and_holes,
    joined_outline,
    mask_outlines,
    rle_from_centres,
    rle_from_edges,
)
from mobilesam.simplification import kept_vertices
from tests.serving import iou
from tests.shapes import decoded, fifty_masks

MASKS = {name: mask for name, mask in fifty_masks().items() if name[-1] == "2"}
NOTHING = np.zeros(0, np.int64)
TOLERANCES = (1.0, 2.0, 20.0)


def blobs(seed: int) -> np.ndarray:
    """Smooth noise: necks, whiskers, holes close to the border and to each other."""
    random = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(random.normal(size=(90, 110)), (0, 0), random.uniform(0.8, 4))
    return noise > np.quantile(noise, random.uniform(0.2, 0.8))


@pytest.fixture(params=[*MASKS, *range(8)], ids=str)
def mask(request) -> np.ndarray:
    return MASKS[request.param] if isinstance(request.param, str) else blobs(request.param)


def rings_of(mask: np.ndarray) -> list[np.ndarray]:
    """As OpenCV traces them at twice the resolution, in the frame "edges"."""
    pixels = mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    contours, _ = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [(contour.reshape(-1, 2).astype(np.int64) + 1) // 2 for contour in contours]


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def crossings(rings: list[np.ndarray]) -> int:
    """Pairs of segments with the ends of each strictly on both sides of the other."""
    start = np.concatenate(rings)
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    along = (end - start)[:, None]
    sides = [np.sign(cross(along, ends[None] - start[:, None])) for ends in (start, end)]
    apart = sides[0] * sides[1] < 0
    return int((apart & apart.T).sum())


def windings(outline: np.ndarray, points: np.ndarray) -> np.ndarray:
    """How often a closed outline runs around each point."""
    start, end = outline[None], np.roll(outline, -1, axis=0)[None]
    point = points[:, None]
    up = (start[..., 1] <= point[..., 1]) & (end[..., 1] > point[..., 1])
    down = (end[..., 1] <= point[..., 1]) & (start[..., 1] > point[..., 1])
    side = cross(end - start, point - start)
    return ((up & (side > 0)).sum(axis=1) - (down & (side < 0)).sum(axis=1)).astype(int)


def distance_to(outline: np.ndarray, points: np.ndarray) -> np.ndarray:
    start, end = outline[None], np.roll(outline, -1, axis=0)[None]
    along, offset = end - start, points[:, None] - start
    share = (along * offset).sum(-1) / np.maximum((along**2).sum(-1), 1)
    nearest = start + along * np.clip(share, 0, 1)[..., None]
    return np.hypot(*np.moveaxis(points[:, None] - nearest, -1, 0)).min(axis=1)


@pytest.mark.parametrize("tolerance", TOLERANCES)
def test_no_outline_crosses_itself_or_another(mask, tolerance):
    rings = rings_of(mask)
    if rings:
        kept = kept_vertices(rings, [NOTHING] * len(rings), tolerance)
        assert not crossings([ring[which] for ring, which in zip(rings, kept, strict=True)])


@pytest.mark.slow
@pytest.mark.parametrize("tolerance", TOLERANCES)
def test_an_outline_runs_around_each_point_once_or_not_at_all(mask, tolerance):
    points = np.random.default_rng(0).uniform(0, mask.shape[::-1], (3000, 2))
    total = np.zeros(len(points), int)
    for outline in mask_outlines(mask, "edges", tolerance):
        around = windings(outline, points)
        assert set(np.unique(around)) <= {0, 1} or set(np.unique(around)) <= {0, -1}
        total += np.abs(around)
    assert total.max() <= 1  # parts do not overlap either


@pytest.mark.parametrize("tolerance", TOLERANCES)
def test_no_vertex_is_further_away_than_the_tolerance(mask, tolerance):
    rings = rings_of(mask)
    if rings:
        for ring, which in zip(
            rings, kept_vertices(rings, [NOTHING] * len(rings), tolerance), strict=True
        ):
            assert distance_to(ring[which], ring).max() <= tolerance + 1e-9


@pytest.mark.parametrize("tolerance", TOLERANCES)
def test_no_part_and_no_hole_vanishes(mask, tolerance):
    outlines = mask_outlines(mask, "edges", tolerance)
    assert len(outlines) == count_parts_and_holes(mask)[0] if mask.any() else not outlines
    filled = decoded(rle_from_edges([outline.astype(float) for outline in outlines], mask.shape))
    for pixels, found, connectivity in ((mask, filled, 8), (~mask, ~filled, 4)):
        around = np.pad(pixels, 1, constant_values=pixels is not mask)  # joins what is no hole
        _, labels = cv2.connectedComponents(around.astype(np.uint8), connectivity=connectivity)
        inside = labels[1:-1, 1:-1]
        assert set(inside[pixels]) == set(inside[pixels & found])


@pytest.mark.parametrize("frame", ["edges", "centres"])
def test_vertices_become_fewer_with_the_tolerance_and_the_area_stays(frame):
    mask = MASKS["disc 2"]
    counts = []
    for tolerance in (0.0, 0.5, 1.0, 2.0):
        outlines = mask_outlines(mask, frame, tolerance)
        counts.append(sum(map(len, outlines)))
        whole = [outline.astype(float) for outline in outlines]
        rle = (
            rle_from_edges(whole, mask.shape)
            if frame == "edges"
            else rle_from_centres(*whole, mask.shape)
        )
        assert iou(decoded(rle), mask) >= (1.0, 0.99, 0.98, 0.96)[len(counts) - 1]
    assert counts == sorted(counts, reverse=True)
    assert counts[2] < counts[0] / 4


def test_the_pixels_stay_the_same_up_to_half_a_pixel(mask):
    outlines = mask_outlines(mask, "edges", 0.49)
    filled = decoded(rle_from_edges([outline.astype(float) for outline in outlines], mask.shape))
    np.testing.assert_array_equal(filled, mask)


def test_a_speck_beside_a_curve_is_not_swallowed_by_its_chord():
    mask = np.zeros((60, 200), bool)
    x = np.arange(200)
    sag = (3 * ((x - 100) / 100) ** 2).astype(int)  # a shallow dent, three pixels deep
    for column, depth in zip(x, sag, strict=True):
        mask[33 - depth :, column] = True
    mask[31, 100] = True
    outlines = mask_outlines(mask, "edges", 4.0)
    assert len(outlines) == 2
    assert not windings(max(outlines, key=len), np.array([[100.5, 31.5]]))


def test_parts_can_be_joined_after_they_are_simplified():
    mask = MASKS["parts 2"]
    joined = joined_outline(mask_outlines(mask, "centres", 1.0))
    canvas = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(canvas, [joined.astype(np.int32)], (1,))
    assert iou(canvas.astype(bool), mask) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("period", [2, 3, 7])
def test_masks_with_a_million_vertices_take_no_quadratic_time(period):
    """A comb of teeth, which run through the same cells of the grid, and noise."""
    mask = np.zeros((1500, 1500), bool)
    mask[:, ::period] = True
    mask[-1] = True
    mask[::11] |= np.random.default_rng(0).random((137, 1500)) < 0.1
    began = time.thread_time()
    mask_outlines(mask, "centres", 2.0)
    assert time.thread_time() - began < 10
