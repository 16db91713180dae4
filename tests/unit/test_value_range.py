"""Greys of more than eight bits look like their eight-bit versions, with a note."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from mobilesam.images import open_photo

RAMP = np.add.outer(np.arange(64) * 3, np.arange(64))  # 0 to 252


def opened(folder, values: np.ndarray, suffix: str = "tiff"):
    path = folder / f"deep.{suffix}"
    if values.dtype == np.int16:  # Pillow reads it, but makes no image from such an array
        image = Image.frombytes("I;16", values.shape[::-1], values.tobytes())
        image.save(path, tiffinfo={TiffImagePlugin.SAMPLEFORMAT: 2})
    else:
        Image.fromarray(values).save(path)
    photo = open_photo(path)
    grey = photo.pixels[..., 0]
    assert (photo.pixels == grey[..., None]).all()
    return grey.astype(int), photo.notes


@pytest.mark.parametrize("factor", [1, 4, 16, 64, 256, 257])
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_sixteen_bits_look_like_eight_whatever_the_camera_uses(tmp_path, suffix, factor):
    grey, notes = opened(tmp_path, RAMP.astype(np.uint16) * factor, suffix)
    assert np.abs(grey - RAMP).max() <= 1
    assert len(notes) == (factor < 256)


@pytest.mark.parametrize(
    "values",
    [
        RAMP.astype(np.int32) * 16,
        RAMP.astype(np.float32),
        RAMP.astype(np.float32) / 255,
        RAMP.astype(np.float32) * 1e30 / 252,
        RAMP.astype(np.int32) * 1_000_000,
        RAMP.astype(np.int32) - 1000,
        RAMP.astype(np.float32) * 1e-6,
        RAMP.astype(np.uint16) // 8 + 30_000,  # a faint picture on a bright ground
    ],
    ids=["int32", "float", "normalised", "huge", "large", "negative", "tiny", "faint"],
)
def test_other_types_show_the_same_picture(tmp_path, values):
    grey, _ = opened(tmp_path, values)
    assert np.abs(grey - RAMP * 255 / 252).max() <= 12


def test_signed_sixteen_bits_as_of_a_scanner(tmp_path):
    grey, notes = opened(tmp_path, RAMP.astype(np.int16) * 16 - 1024)
    assert np.abs(grey - RAMP * 255 / 252).max() <= 4
    assert notes == ("Values from -974.5 to 2958 are shown as black to white.",)


def test_some_pixels_that_are_far_too_bright_do_not_darken_the_rest(tmp_path):
    values = RAMP.astype(np.uint16) * 16
    values[0, :3] = 65_535
    grey, notes = opened(tmp_path, values, "png")
    assert np.abs(grey - RAMP)[1:].max() <= 1
    assert notes == ("Values from 0 to 4080 are shown as black to white.",)


def test_numbers_that_are_not_finite_are_ignored(tmp_path):
    values = RAMP.astype(np.float32)
    values[0, :4] = np.nan, np.inf, -np.inf, np.nan
    grey, _ = opened(tmp_path, values)
    assert grey[0, :4].tolist() == [0, 255, 0, 0]
    assert np.abs(grey - RAMP)[1:].max() <= 1
    grey, notes = opened(tmp_path, np.full((4, 5), np.nan, np.float32))
    assert not grey.any()
    assert notes == ("This photo has no finite values.",)


@pytest.mark.parametrize(("value", "shown"), [(0, 0), (65_535, 255), (2040, 128), (100_000, 255)])
def test_a_constant_picture_says_so(tmp_path, value, shown):
    grey, notes = opened(tmp_path, np.full((4, 5), value, np.int32))
    assert (grey == shown).all()
    assert notes == ("All pixels of this photo have the same value.",)


def test_a_few_bright_cells_on_black_are_seen(tmp_path):
    values = np.zeros((100, 100), np.uint16)
    values[50, 50:55] = 900, 900, 900, 900, 450
    grey, _ = opened(tmp_path, values, "png")
    assert grey[50, 50:55].tolist() == [225, 225, 225, 225, 112]  # of 10 bits
    assert np.count_nonzero(grey) == 5


def test_a_photo_of_several_strips_has_one_range(tmp_path):
    values = np.linspace(0, 1000, 1500 * 1500).reshape(1500, 1500).astype(np.float32) - 500
    grey, notes = opened(tmp_path, values)
    assert (np.diff(grey[:, 700]) >= 0).all()
    assert grey[750, 750] == pytest.approx(128, abs=1)
    assert notes == ("Values from -499 to 499 are shown as black to white.",)
