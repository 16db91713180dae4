"""Polygons in both frames, filled by pycocotools, OpenCV and Pillow."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from mobilesam.masks import mask_to_coco_rle
from mobilesam.polygons import (
    count_parts_and_holes,
    joined_outline,
    mask_outlines,
    outline_length,
    rle_from_centres,
    rle_from_edges,
)
from tests.serving import iou
from tests.shapes import SPECKS, decoded, fifty_masks

MASKS = fifty_masks()
WITH_HOLES = ("ring", "sieve", "island", "checkerboard", "at_the_border")
WITHOUT_HOLES = ("disc", "parts", "single_pixels")


def noise(seed: int) -> np.ndarray:
    """Dense noise of any size, down to one pixel: holes and parts within each other."""
    random = np.random.default_rng(seed)
    return random.random(random.integers(1, 40, 2)) < random.random()


@pytest.fixture(params=[*MASKS, *range(40)], ids=str)
def mask(request) -> np.ndarray:
    return MASKS[request.param] if isinstance(request.param, str) else noise(request.param)


def filled_by_opencv(outlines: list[np.ndarray], size_hw: tuple[int, int]) -> np.ndarray:
    """One by one: where outlines meet, OpenCV would leave out what two of them enclose."""
    canvas = np.zeros(size_hw, np.uint8)
    for outline in outlines:
        cv2.fillPoly(canvas, [outline.astype(np.int32)], (1,))
    return canvas.astype(bool)


def test_pycocotools_fills_the_edges_to_the_very_mask(mask):
    polygons = [outline.ravel().tolist() for outline in mask_outlines(mask, "edges")]
    if polygons:
        rle = coco_mask.merge(coco_mask.frPyObjects(polygons, *mask.shape))
        np.testing.assert_array_equal(coco_mask.decode(rle).astype(bool), mask)
    else:
        assert not mask.any()


def test_opencv_fills_the_centres_to_the_very_mask(mask):
    outlines = mask_outlines(mask, "centres")
    np.testing.assert_array_equal(filled_by_opencv(outlines, mask.shape), mask)


def test_no_vertex_lies_between_its_neighbours(mask):
    for outline in mask_outlines(mask, "edges"):
        one, other = outline - np.roll(outline, 1, 0), np.roll(outline, -1, 0) - outline
        straight = one[:, 0] * other[:, 1] == one[:, 1] * other[:, 0]
        assert not (straight & ((one * other).sum(axis=1) > 0)).any()


def test_joined_parts_keep_every_pixel_and_gain_a_thin_line_at_most(mask):
    outlines = mask_outlines(mask, "centres")
    if outlines:
        joined = joined_outline(outlines)
        assert not (mask & ~filled_by_opencv([joined], mask.shape)).any()


def test_parts_are_joined_where_they_are_close():
    mask = np.zeros((40, 100), bool)
    for x in (0, 90, 30, 60):
        mask[10:30, x : x + 10] = True
    joined = joined_outline(mask_outlines(mask, "centres"))
    added = filled_by_opencv([joined], mask.shape) & ~mask
    assert np.count_nonzero(added) == 3 * 20


@pytest.mark.parametrize("name", [name for name in MASKS if not name.startswith(SPECKS)])
def test_joining_parts_of_some_size_costs_two_percent_at_most(name):
    joined = joined_outline(mask_outlines(MASKS[name], "centres"))
    assert iou(filled_by_opencv([joined], MASKS[name].shape), MASKS[name]) >= 0.98


@pytest.mark.parametrize("name", MASKS)
def test_holes_are_seen(name):
    if name.startswith(WITH_HOLES + WITHOUT_HOLES):
        assert (count_parts_and_holes(MASKS[name])[1] > 0) == name.startswith(WITH_HOLES)


def test_outlines_are_counted_as_opencv_finds_them(mask):
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    assert sum(count_parts_and_holes(mask)) == len(contours)


@pytest.mark.slow
def test_a_great_many_polygons_are_filled_in_no_time_and_as_all_at_once():
    """pycocotools merges in the square of their number, and nothing else runs meanwhile."""
    corners = np.random.default_rng(0).uniform(0, 90, (6000, 1, 2))
    triangles = list(corners + np.array([[0, 0], [6, 0], [0, 6]]))
    began = time.thread_time()
    filled = decoded(rle_from_edges(triangles, (100, 100)))
    assert time.thread_time() - began < 1
    few = triangles[:100]
    at_once = coco_mask.merge(coco_mask.frPyObjects([t.ravel().tolist() for t in few], 100, 100))
    assert (decoded(rle_from_edges(few, (100, 100))) == coco_mask.decode(at_once)).all()
    assert filled.mean() > 0.8


def test_an_empty_mask_has_no_outline_and_no_holes():
    assert mask_outlines(np.zeros((5, 5), bool), "edges") == []
    assert count_parts_and_holes(np.zeros((5, 5), bool)) == (0, 0)


@pytest.mark.parametrize("seed", range(10))
def test_centres_are_filled_as_pillow_does(seed):
    angles = np.arange(11) / 11 * 2 * np.pi
    radii = np.random.default_rng(seed).uniform(20, 48, (11, 1))
    star = np.array([75, 50]) + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    image = Image.new("1", (150, 100))
    ImageDraw.Draw(image).polygon([tuple(p) for p in star.tolist()], fill=1, outline=1)
    assert iou(decoded(rle_from_centres(star, (100, 150))), np.array(image)) >= 0.98


@pytest.mark.parametrize("seed", range(10))
def test_the_outline_of_centres_is_drawn_as_opencv_does(seed):
    random = np.random.default_rng(seed)
    polygon = random.integers(0, (150, 100), (random.integers(3, 40), 2))
    outline = np.zeros((100, 150), np.uint8)
    cv2.polylines(outline, [polygon.astype(np.int32)], isClosed=True, color=(1,))
    inside = decoded(rle_from_edges([polygon + 0.5], (100, 150)))
    filled = decoded(rle_from_centres(polygon.astype(float), (100, 150)))
    np.testing.assert_array_equal(filled, inside | (outline == 1))


@pytest.mark.parametrize("seed", range(10))
def test_the_rle_of_a_polygon_is_that_of_its_pixels(seed):
    """Also where it begins in the first pixel, ends in the last and reaches out of the photo."""
    random = np.random.default_rng(seed)
    polygons = [random.uniform(-4, (34, 24), (5, 2)) for _ in range(3)]
    whole = np.array([[0, 0], [30, 0], [30, 20], [0, 20.0]])
    rles = [rle_from_edges(polygons, (20, 30)), rle_from_edges([whole], (20, 30))]
    rles += [rle_from_centres(polygon, (20, 30)) for polygon in (*polygons, whole)]
    for rle in rles:
        assert rle == mask_to_coco_rle(decoded(rle))


def test_edges_are_filled_as_a_union():
    squares = [np.array([[x, 2], [x + 4, 2], [x + 4, 6], [x, 6.0]]) for x in (1, 3)]
    expected = np.zeros((8, 10), bool)
    expected[2:6, 1:7] = True
    np.testing.assert_array_equal(decoded(rle_from_edges(squares, (8, 10))), expected)


def test_vertices_said_twice_change_nothing():
    polygon = np.array([[1, 1], [1, 1], [6, 1], [6, 5], [6, 5.01], [1, 5], [1, 1]])
    assert decoded(rle_from_edges([polygon], (8, 10))).sum() == 20
    assert decoded(rle_from_centres(polygon, (8, 10))).sum() == 30


def test_the_last_row_and_column_can_be_named_by_the_edge_of_the_photo():
    whole = np.array([[0, 0], [10, 0], [10, 8], [0, 8.0]])
    assert decoded(rle_from_centres(whole, (8, 10))).all()
    assert decoded(rle_from_edges([whole], (8, 10))).all()


def test_the_length_of_an_outline_counts_pixels():
    assert outline_length(np.array([[0, 0], [10, 0], [10, 4.0]])) == 10 + 4 + 10
