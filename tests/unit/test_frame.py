"""Where a photo or a crop of it lies in the model's square, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mobilesam import PromptError
from mobilesam.frame import MIN_CROP_SIDE, Frame, checked_crop

WHOLE = Frame((400, 600), (683, 1024))
CROP = Frame.of((400, 600), 1024, (100, 40, 356, 168))


def test_the_crop_fills_the_models_square_along_its_longer_side():
    assert CROP.encoded_size == (128, 256)
    assert CROP.input_size == (512, 1024)
    assert Frame.of((400, 600), 1024, None) == WHOLE


def test_coordinates_of_the_photo_become_those_of_the_input():
    np.testing.assert_allclose(CROP.to_input([(100, 40), (356, 168)]), [(0, 0), (1024, 512)])
    np.testing.assert_allclose(WHOLE.to_input([(0, 0), (600, 400)]), [(0, 0), (1024, 683)])


def test_the_crop_is_found_in_a_scaled_picture_and_has_at_least_one_pixel():
    assert CROP.encoded_part((400, 600)) == (slice(40, 168), slice(100, 356))
    assert CROP.encoded_part((200, 300)) == (slice(20, 84), slice(50, 178))
    corner = Frame.of((4000, 6000), 1024, (5950, 3960, 6000, 4000))
    assert corner.encoded_part((2, 3)) == (slice(1, 2), slice(2, 3))


def test_a_mask_of_the_crop_is_placed_in_the_photo():
    mask = CROP.placed(np.ones((64, 128), bool), (200, 300))
    assert mask.shape == (200, 300)
    assert mask[20:84, 50:178].all()
    assert mask.sum() == 64 * 128


def test_the_whole_photo_is_no_crop():
    assert checked_crop([0, 0, 600, 400], (400, 600)) is None
    assert checked_crop(np.array([0, 0, 599, 400]), (400, 600)) == (0, 0, 599, 400)


@pytest.mark.parametrize(
    ("crop", "problem"),
    [
        ((-1, 0, 100, 100), "within the 600 x 400 photo"),
        ((0, 0, 601, 100), "within the 600 x 400 photo"),
        ((0, 0, 100, 10**30), "within the 600 x 400 photo"),
        ((100, 100, 100, 200), "within the 600 x 400 photo"),
        ((200, 100, 100, 200), "within the 600 x 400 photo"),
        ((0, 0, 300, MIN_CROP_SIDE - 1), "at least 32 pixels"),
        ((0, 0, float("nan"), 100), "whole number"),
        ((0, 0, float("inf"), 100), "whole number"),
        ((0, 0, 99.5, 100), "whole number"),
        ((0, 0, True, 100), "whole number"),
        ((0, 0, "90", 100), "whole number"),
        ((0, 0, 100), r"must be \[x0, y0, x1, y1\]"),
        (None, r"must be \[x0, y0, x1, y1\]"),
        ("crop", r"must be \[x0, y0, x1, y1\]"),
    ],
)
def test_other_crops_are_refused_with_a_sentence(crop, problem):
    with pytest.raises(PromptError, match=problem) as error:
        checked_crop(crop, (400, 600))
    assert str(error.value).endswith(".")
