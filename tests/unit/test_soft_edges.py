"""Soft edges: alpha by hand, and colours that hold nothing of the background."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mobilesam import PhotoObject
from mobilesam.export import cutout_bounds_xyxy, cutout_png, export_file
from mobilesam.export.soft_edges import foreground_colours, soft_alpha
from mobilesam.images import Photo
from tests.shapes import fifty_masks

RED, GREEN = (200, 40, 20), (20, 90, 30)


def half(width: int = 12) -> np.ndarray:
    """(10, width) bool: the columns from 4 on."""
    mask = np.zeros((10, width), bool)
    mask[:, 4:] = True
    return mask


def photo_of(alpha: np.ndarray, inside=RED, outside=GREEN) -> np.ndarray:
    """Two colours mixed by an alpha from 0 to 255."""
    share = alpha[..., None] / 255
    return np.rint(share * inside + (1 - share) * np.array(outside)).astype(np.uint8)


def cutout(pixels: np.ndarray, mask: np.ndarray, soft: bool = True) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(cutout_png(Photo(pixels), mask, soft))))


def test_a_straight_edge_is_a_linear_ramp_two_pixels_wide():
    # The ramp is 0 one pixel before the edge at 4 and 1 one pixel after it; pixel 3 has its centre
    # half a pixel before the edge.
    row = [0, 0, 0, 64, 191, 255, 255, 255, 255, 255, 255, 255]
    np.testing.assert_allclose(soft_alpha(half()), [row] * 10, atol=1)
    np.testing.assert_allclose(soft_alpha(half().T.copy()), np.transpose([row] * 10), atol=1)
    np.testing.assert_allclose(soft_alpha(~half()), 255 - np.array([row] * 10), atol=1)


def test_a_slanted_edge_follows_the_line_between_the_pixels():
    rows, columns = np.mgrid[:200, :300]
    distance = (columns - 150 + (rows - 100) * 0.3) / np.hypot(1, 0.3)
    ramp = np.clip(0.5 + distance / 2, 0, 1)
    difference = np.abs(soft_alpha(distance > 0) / 255 - ramp)[4:-4]
    assert difference.max() < 0.15
    hard = np.abs((distance > 0) - ramp)[4:-4]
    assert difference.mean() < hard.mean() / 4


def test_the_border_of_the_photo_is_no_edge():
    np.testing.assert_array_equal(soft_alpha(np.ones((5, 7), bool)), 255)


@pytest.mark.parametrize("name", fifty_masks())
def test_the_mask_is_where_alpha_is_128_or_more(name):
    mask = fifty_masks()[name]
    alpha = soft_alpha(mask)
    np.testing.assert_array_equal(alpha >= 128, mask)


def test_colours_near_the_edge_are_those_of_the_object():
    alpha = soft_alpha(half(40))
    colours = foreground_colours(photo_of(alpha), alpha)
    assert np.abs(colours[alpha > 0].astype(int) - RED).max() <= 6
    mixed = photo_of(alpha)[alpha > 0]
    assert np.abs(mixed.astype(int) - RED).max() > 100
    assert not colours[alpha == 0].any()


def test_colours_farther_inside_are_the_photos_own():
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (300, 600, 3), np.uint8)
    mask = np.zeros((300, 600), bool)
    mask[40:280, 30:550] = True
    alpha = soft_alpha(mask)
    colours = foreground_colours(pixels, alpha)
    np.testing.assert_array_equal(colours[alpha == 255], pixels[alpha == 255])


def test_colours_do_not_depend_on_where_the_object_lies():
    """An object on the corner of four tiles is estimated as one within a tile."""
    random = np.random.default_rng(2)
    patch = random.integers(0, 256, (60, 60, 3), np.uint8)
    rows, columns = np.mgrid[:60, :60]
    disc = np.hypot(rows - 30, columns - 30) < 18
    found = []
    for corner in (60, 226):  # tiles have 256 pixels
        pixels, mask = np.zeros((400, 400, 3), np.uint8), np.zeros((400, 400), bool)
        place = np.s_[corner : corner + 60, corner : corner + 60]
        pixels[place], mask[place] = patch, disc
        found.append(foreground_colours(pixels, soft_alpha(mask))[place].astype(int))
    assert np.abs(found[0] - found[1]).max() <= 1


def test_a_soft_cut_out_is_one_pixel_larger_than_the_mask_but_stays_within_the_photo():
    mask = np.zeros((30, 50), bool)
    mask[10:20, 20:] = True
    assert cutout_bounds_xyxy(mask) == (20, 10, 50, 20)
    assert cutout_bounds_xyxy(mask, soft=True) == (19, 9, 50, 21)
    rgba = cutout(photo_of(soft_alpha(mask)), mask)
    assert rgba.shape == (12, 31, 4)
    np.testing.assert_array_equal(rgba[..., 3], soft_alpha(mask)[9:21, 19:50])


def test_a_cut_out_is_the_same_wherever_it_is_cropped():
    rows, columns = np.mgrid[:300, :500]
    mask = np.hypot(rows - 150, columns - 240) < 90
    pixels = np.random.default_rng(3).integers(0, 256, (300, 500, 3), np.uint8)
    alpha = soft_alpha(mask)
    x0, y0, x1, y1 = cutout_bounds_xyxy(mask, soft=True)
    crop = np.s_[y0:y1, x0:x1]
    rgba = cutout(pixels, mask)
    np.testing.assert_array_equal(rgba[..., 3], alpha[crop])
    whole = foreground_colours(pixels, alpha)[crop].astype(int)
    assert np.abs(rgba[..., :3] - whole).max() <= 1


def test_transparent_pixels_of_a_soft_cut_out_carry_no_colour():
    mask = half(40)
    rgba = cutout(photo_of(soft_alpha(mask)), mask)
    assert (rgba[..., 3] == 0).sum() == 0  # the crop ends where alpha does
    mask[:, 20:] = False
    mask[:3, 30:] = True
    rgba = cutout(photo_of(soft_alpha(mask)), mask)
    assert (rgba[..., 3] == 0).any()
    assert not rgba[rgba[..., 3] == 0].any()


def test_edges_are_hard_unless_soft_ones_are_asked_for():
    mask = half(40)
    pixels = photo_of(soft_alpha(mask))
    assert set(np.unique(cutout(pixels, mask, soft=False)[..., 3])) == {255}
    things = [PhotoObject("thing", mask)]
    hard = export_file("cutouts_zip", Photo(pixels), things, "a.png")[1]
    soft = export_file("cutouts_zip", Photo(pixels), things, "a.png", soft=True)[1]
    assert cutout_png(Photo(pixels), mask) in hard
    assert cutout_png(Photo(pixels), mask, soft=True) in soft


def test_a_cut_out_claims_no_other_colour_space_than_srgb():
    mask = half()
    image = Image.open(io.BytesIO(cutout_png(Photo(photo_of(soft_alpha(mask))), mask, True)))
    assert not {"icc_profile", "gamma", "chromaticity"} & image.info.keys()
