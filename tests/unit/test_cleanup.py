"""Specks and holes: masks drawn by hand, and the result drawn by hand beside them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

import mobilesam
from mobilesam import Prompt
from mobilesam.cleanup import MIN_HOLE, MIN_PART, clean_mask

SIDE = 60
INSIDE = (20.5, 20.5)
"""A point of the `block`."""


def block(*others: tuple[slice, slice], without: tuple[tuple[slice, slice], ...] = ()):
    """A block of 50 x 40 = 2,000 pixels, (H, W) bool: 2% are 40 and 1% are 20 pixels."""
    mask = np.zeros((SIDE, SIDE), bool)
    mask[5:55, 5:45] = True
    for region in others:
        mask[region] = True
    for region in without:
        mask[region] = False
    return mask


def at(x: int, y: int, width: int, height: int) -> tuple[slice, slice]:
    return np.s_[y : y + height, x : x + width]


def point(*coords: tuple[float, float], label: int = 1) -> Prompt:
    return Prompt(coords, [label] * len(coords))


def cleaned(mask: np.ndarray, prompt: Prompt) -> np.ndarray:
    before = mask.copy()
    result = clean_mask(mask, prompt)
    assert result.dtype == np.bool_
    np.testing.assert_array_equal(mask, before)
    return result


def test_it_is_part_of_the_public_api():
    assert mobilesam.clean_mask is clean_mask


@pytest.mark.parametrize(("width", "stays"), [(39, False), (40, True)])
def test_a_part_under_two_percent_of_the_clicked_one_goes(width, stays):
    speck = at(10, 57, width, 1)
    expected = block(speck) if stays else block()
    np.testing.assert_array_equal(cleaned(block(speck), point(INSIDE)), expected)


@pytest.mark.parametrize(("width", "stays"), [(19, False), (20, True)])
def test_an_enclosed_hole_under_one_percent_is_filled(width, stays):
    mask = block(without=(at(20, 30, width, 1),))
    np.testing.assert_array_equal(cleaned(mask, point(INSIDE)), mask if stays else block())


def test_a_notch_and_background_at_the_border_of_the_photo_are_no_holes():
    mask = np.ones((1000, 1000), bool)  # of which 1% is more than the margin around it
    mask[0, 10:12] = mask[30:32, -1] = mask[-1, -1] = False
    np.testing.assert_array_equal(cleaned(mask, point(INSIDE)), mask)


def test_parts_are_joined_by_corners_and_holes_only_by_sides():
    corner = np.s_[55, 45]  # touches the block's last pixel at (54, 44) by its corner
    notch = block(corner, without=(np.s_[6, 6], np.s_[5, 5]))  # (6, 6) is enclosed, (5, 5) is not
    expected = block(corner, without=(np.s_[5, 5],))
    np.testing.assert_array_equal(cleaned(notch, point(INSIDE)), expected)


def test_a_speck_in_a_hole_goes_with_the_hole():
    """With the speck the ring around it has 12 pixels, and the whole hole 16: both under 20."""
    mask = block(at(31, 31, 2, 2), without=(at(30, 30, 4, 4),))
    mask[at(31, 31, 2, 2)] = True
    np.testing.assert_array_equal(cleaned(mask, point(INSIDE)), block())


def test_a_speck_does_not_make_a_hole_small():
    """Without its speck of 9 pixels this hole has 25 pixels, which are too many to fill."""
    mask = block(without=(at(30, 30, 5, 5),))
    mask[at(31, 31, 3, 3)] = True
    np.testing.assert_array_equal(cleaned(mask, point(INSIDE)), block(without=(at(30, 30, 5, 5),)))


def test_a_clicked_speck_stays_and_others_go():
    mask = block(at(50, 10, 2, 2), at(50, 30, 2, 2))
    result = cleaned(mask, point(INSIDE, (51, 11)))
    np.testing.assert_array_equal(result, block(at(50, 10, 2, 2)))


def test_a_hole_with_a_negative_click_stays_and_others_are_filled():
    mask = block(without=(at(10, 10, 2, 2), at(30, 30, 2, 2)))
    prompt = Prompt([INSIDE, (31, 31)], [1, 0])
    np.testing.assert_array_equal(cleaned(mask, prompt), block(without=(at(30, 30, 2, 2),)))


def test_a_negative_click_keeps_no_part_and_a_positive_one_no_hole():
    mask = block(at(50, 10, 2, 2), without=(at(30, 30, 2, 2),))
    prompt = Prompt([INSIDE, (51, 11), (31, 31)], [1, 0, 1])
    np.testing.assert_array_equal(cleaned(mask, prompt), block())


def test_the_clicked_part_is_the_measure_even_if_another_is_larger():
    mask = np.zeros((SIDE, SIDE), bool)
    mask[at(0, 0, 30, 30)] = mask[at(40, 40, 10, 10)] = mask[at(55, 0, 2, 1)] = True  # 900, 100, 2
    np.testing.assert_array_equal(cleaned(mask, point((45, 45))), mask)  # 2 of 100 are enough
    assert not cleaned(mask, point((10, 10)))[0, 55]


@pytest.mark.parametrize(
    "prompt", [Prompt(box=(1, 1, 59, 59)), point((58, 2)), point(INSIDE, label=0)]
)
def test_without_a_clicked_part_the_largest_is_the_measure(prompt):
    mask = block(at(50, 10, 2, 2), without=(at(30, 30, 2, 2),))
    np.testing.assert_array_equal(cleaned(mask, prompt), block())


@pytest.mark.parametrize("corner", [(0, 0), (SIDE, 0), (0, SIDE), (SIDE, SIDE)])
def test_a_click_on_the_edge_of_the_photo_keeps_what_is_there(corner):
    x, y = (min(value, SIDE - 1) for value in corner)
    mask = block(np.s_[y, x])
    np.testing.assert_array_equal(cleaned(mask, point(INSIDE, corner)), mask)


@pytest.mark.parametrize("value", [False, True])
def test_an_empty_and_a_full_mask_stay_as_they_are(value):
    mask = np.full((7, 9), value)
    np.testing.assert_array_equal(cleaned(mask, point((3, 3))), mask)


def reference(mask: np.ndarray, points: list[tuple[int, int, int]]) -> np.ndarray:
    """The same by scipy; the points lie well inside what they mark."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    areas = {label: int((labels == label).sum()) for label in range(1, count + 1)}
    clicked = {labels[y, x] for x, y, label in points if label and labels[y, x]}
    largest = max(areas[label] for label in clicked or areas)
    kept = [label for label in areas if label in clicked or areas[label] >= MIN_PART * largest]
    result = np.isin(labels, kept)
    holes, count = ndimage.label(ndimage.binary_fill_holes(result) & ~result)
    for hole in range(1, count + 1):
        region = holes == hole
        is_clicked = any(region[y, x] for x, y, label in points if not label)
        if region.sum() < MIN_HOLE * largest and not is_clicked:
            result |= region
    return result


@pytest.mark.parametrize("seed", range(8))
def test_random_masks_agree_with_scipy(seed):
    random = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(random.normal(size=(90, 120)), 1.2)
    y, x = np.mgrid[:90, :120]
    mask = noise > 0.012 * np.hypot(x - 60, y - 45) - 0.35
    depths = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(depths.argmax(), mask.shape)
    result = cleaned(mask, point((int(x), int(y))))
    np.testing.assert_array_equal(result, reference(mask, [(x, y, 1)]))
    assert ndimage.label(result)[1] < ndimage.label(mask)[1]


@pytest.mark.parametrize("scale", [2, 5])
def test_a_scaled_mask_is_cleaned_like_the_full_one(scale):
    """The same photo at several sizes: blocks of pixels, so that resampling loses nothing."""
    small = block(at(50, 10, 2, 2), at(50, 30, 2, 2), without=(at(10, 10, 2, 2), at(30, 30, 2, 2)))
    full = small.repeat(scale, axis=0).repeat(scale, axis=1)
    xy = [INSIDE, (51.5, 31.5), (11, 11)]
    prompt = Prompt(np.array(xy) * scale, [1, 1, 0])
    result = clean_mask(small, prompt, full.shape)
    np.testing.assert_array_equal(result, block(at(50, 30, 2, 2), without=(at(10, 10, 2, 2),)))
    np.testing.assert_array_equal(
        clean_mask(full, prompt), result.repeat(scale, axis=0).repeat(scale, axis=1)
    )


def test_a_thin_clicked_part_survives_being_scaled_away_from_its_click():
    """At a quarter of the size the part has moved into the next pixel."""
    mask = np.zeros((30, 30), bool)
    mask[at(2, 2, 20, 20)] = mask[np.s_[25, 4]] = True
    prompt = point((40, 40), (18, 98))  # in pixels of 120 x 120; the second one is in row 24
    np.testing.assert_array_equal(clean_mask(mask, prompt, (120, 120)), mask)
