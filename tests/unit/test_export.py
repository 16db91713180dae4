"""Masks as files: exact values, and nothing of the photo beyond the mask."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mobilesam import PromptError
from mobilesam.export import cutout_png, mask_png
from mobilesam.images import open_photo


@pytest.fixture
def ring() -> np.ndarray:
    """(120, 180) bool: a ring around the disc's centre, with a hole."""
    rows, columns = np.mgrid[:120, :180]
    distance = np.hypot(rows - 60, columns - 90)
    return (distance < 25) & (distance > 10)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    return image


def test_the_mask_is_255_inside_and_0_outside_at_its_own_size(ring):
    image = opened(mask_png(ring))
    assert image.mode == "L"
    np.testing.assert_array_equal(np.array(image), np.where(ring, 255, 0))


def test_the_cutout_is_cropped_to_the_mask(disc, ring):
    image = opened(cutout_png(open_photo(disc), ring))
    rows, columns = np.nonzero(ring)
    assert image.mode == "RGBA"
    assert image.size == (np.ptp(columns) + 1, np.ptp(rows) + 1)


def test_the_cutout_shows_the_photo_inside_and_nothing_outside(disc, ring):
    rgba = np.array(opened(cutout_png(open_photo(disc), ring)))
    rows, columns = np.nonzero(ring)
    crop = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    inside = ring[crop]
    np.testing.assert_array_equal(rgba[..., 3], np.where(inside, 255, 0))
    np.testing.assert_array_equal(rgba[inside][:, :3], disc[crop][inside])


def test_transparent_pixels_of_the_cutout_carry_no_colour(disc, ring):
    rgba = np.array(opened(cutout_png(open_photo(disc), ring)))
    assert (rgba[..., 3] == 0).any()
    assert not rgba[rgba[..., 3] == 0].any()


def test_a_cutout_of_the_whole_photo_is_the_photo(disc):
    rgba = np.array(opened(cutout_png(open_photo(disc), np.ones(disc.shape[:2], bool))))
    np.testing.assert_array_equal(rgba[..., :3], disc)


def test_an_empty_mask_has_nothing_to_cut_out(disc):
    with pytest.raises(PromptError, match="empty"):
        cutout_png(open_photo(disc), np.zeros(disc.shape[:2], bool))
