"""Prompts for masks that are drawn by hand."""

import numpy as np
import pytest

from mobilesam.training import prompt_sampling as sampling
from tests.shapes import fifty_masks

NOTHING = np.zeros((7, 9), bool)


def drawn(picture: str) -> np.ndarray:
    """A mask from rows of "#" and "."."""
    return np.array([[character == "#" for character in row] for row in picture.split()])


L_SHAPE = drawn("""
    .........
    .###.....
    .###.....
    .########
    .........
    .........
    .........
""")


def test_the_farthest_point_is_the_middle_of_the_widest_part():
    assert sampling.farthest_point(L_SHAPE).tolist() == [2, 2]


def test_the_border_of_the_frame_is_a_border_of_the_mask():
    assert sampling.farthest_point(np.ones((5, 9), bool)).tolist()[1] == 2
    assert sampling.farthest_point(np.ones((7, 7), bool)).tolist() == [3, 3]


def test_a_box_goes_through_the_outermost_pixels():
    assert sampling.mask_box(L_SHAPE).tolist() == [1, 1, 8, 3]


def test_rescaling_keeps_the_place():
    """Column 1 of 2 covers columns 4 to 7 of 8, whose middle is 5.5; there, rows stay."""
    point = np.array([1, 3], np.float32)
    assert sampling.rescaled(point, 4).tolist() == [5.5, 13.5]
    assert sampling.rescaled(point, np.array([4, 1])).tolist() == [5.5, 3]
    box = np.array([1, 3, 7, 9], np.float32)
    assert sampling.rescaled(box, np.array([4, 1])).tolist() == [5.5, 3, 29.5, 9]


@pytest.mark.parametrize("name", fifty_masks())
def test_points_are_inside_and_boxes_within_the_frame(name):
    mask = fifty_masks()[name]
    random = np.random.default_rng(0)
    for point in (sampling.random_point(mask, random), sampling.farthest_point(mask)):
        x, y = point.astype(int)
        assert mask[y, x]
    for _ in range(20):
        x0, y0, x1, y1 = sampling.jittered_box(mask, random)
        assert 0 <= x0 <= x1 <= mask.shape[1] - 1
        assert 0 <= y0 <= y1 <= mask.shape[0] - 1


def test_random_points_reach_every_pixel_and_no_other():
    random = np.random.default_rng(0)
    hits = np.zeros_like(L_SHAPE)
    for _ in range(500):
        x, y = sampling.random_point(L_SHAPE, random).astype(int)
        hits[y, x] = True
    assert (hits == L_SHAPE).all()


def test_a_jittered_box_differs_by_a_tenth_of_its_side_and_at_most_by_the_limit():
    mask = np.zeros((1024, 1024), bool)
    mask[300:350, 100:900] = True
    random = np.random.default_rng(0)
    noise = np.array([sampling.jittered_box(mask, random) for _ in range(500)])
    noise -= sampling.mask_box(mask)
    assert np.abs(noise).max() == pytest.approx(20)  # of a side of 800
    assert noise[:, [1, 3]].std() == pytest.approx(5, rel=0.1)  # of a side of 50
    assert np.abs(noise.mean(axis=0)).max() < 2


def test_the_correction_is_the_middle_of_the_largest_error():
    too_much = L_SHAPE.copy()
    too_much[4:7, 6:9] = True  # 3 x 3 that do not belong to it
    too_much[1, 1] = False  # one pixel that is missing
    point, label = sampling.central_correction(L_SHAPE, too_much)
    assert (point.tolist(), label) == ([7, 5], 0)
    point, label = sampling.central_correction(L_SHAPE, NOTHING)
    assert (point.tolist(), label) == ([2, 2], 1)


def test_no_pixel_is_clicked_twice():
    clicked = []
    while len(clicked) < L_SHAPE.sum():
        point, label = sampling.central_correction(L_SHAPE, NOTHING, clicked)
        assert label == 1
        clicked.append(point)
    assert len({tuple(point) for point in clicked}) == L_SHAPE.sum()
    point, label = sampling.central_correction(L_SHAPE, NOTHING, clicked)
    assert (point.tolist(), label) == ([2, 2], 1)


def test_without_an_error_corrections_stay_inside():
    point, label = sampling.central_correction(L_SHAPE, L_SHAPE)
    assert (point.tolist(), label) == ([2, 2], 1)
    x, y = sampling.random_correction(L_SHAPE, L_SHAPE, np.random.default_rng(0))[0].astype(int)
    assert L_SHAPE[y, x]


def test_random_corrections_are_wrong_pixels_with_the_label_of_the_target():
    predicted = np.roll(L_SHAPE, 1, axis=1)
    random = np.random.default_rng(0)
    found = {
        (*point.astype(int), label)
        for point, label in (
            sampling.random_correction(L_SHAPE, predicted, random) for _ in range(500)
        )
    }
    wrong = {(x, y, int(L_SHAPE[y, x])) for y, x in np.argwhere(predicted != L_SHAPE)}
    assert found == wrong


def test_equal_seeds_give_equal_prompts():
    def sample(seed):
        random = np.random.default_rng(seed)
        point, _ = sampling.random_correction(L_SHAPE, NOTHING, random)
        return [*point, *sampling.jittered_box(L_SHAPE, random)]

    assert sample(3) == sample(3)
    assert any(sample(3) != sample(seed) for seed in range(4, 9))
