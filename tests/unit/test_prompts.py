"""Prompts are validated when they are made, and against the photo when they are decoded."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from mobilesam import Prompt, PromptError
from mobilesam.prompts import prompt_from_rows

PHOTO_HW = (120, 180)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 10**400])
def test_coordinates_that_are_not_finite_are_refused(bad):
    with pytest.raises(PromptError, match="finite"):
        Prompt([(bad, 1)], [1])
    with pytest.raises(PromptError, match="finite"):
        Prompt([(1, bad)], [1])
    with pytest.raises(PromptError, match="finite"):
        Prompt(box=(0, 0, 5, bad))


@pytest.mark.parametrize("bad", ["1", None, True, 1j, [1], b"1"])
def test_coordinates_that_are_not_numbers_are_refused(bad):
    with pytest.raises(PromptError):
        Prompt([(bad, 1)], [1])
    with pytest.raises(PromptError):
        Prompt(box=(0, 0, 5, bad))


@pytest.mark.parametrize("points", ["ab", None, 5, {"x": 1}, [5], [(1,)], [(1, 2, 3)], ["ab"]])
def test_points_of_another_shape_are_refused(points):
    with pytest.raises(PromptError):
        Prompt(points, [1])


@pytest.mark.parametrize("label", [2, -1, 0.5, True, False, "1", None, float("nan"), [1]])
def test_a_label_other_than_one_and_zero_is_refused(label):
    with pytest.raises(PromptError, match="label"):
        Prompt([(1, 2)], [label])


@pytest.mark.parametrize("labels", [[], [1, 1], None, "1", 1])
def test_every_point_needs_its_label(labels):
    with pytest.raises(PromptError):
        Prompt([(1, 2)], labels)


def test_there_are_at_most_64_points():
    assert len(Prompt([(1, 2)] * 64, [1] * 64).point_coords) == 64
    with pytest.raises(PromptError, match="64"):
        Prompt([(1, 2)] * 65, [1] * 65)


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (5, 5, 9, 5), (5, 5, 5, 5)])
def test_a_box_without_an_area_is_refused(box):
    with pytest.raises(PromptError, match="empty"):
        Prompt(box=box)


@pytest.mark.parametrize("box", [(), (1, 2, 3), (1, 2, 3, 4, 5), "1234", 5, [[1, 2], [3, 4]]])
def test_a_box_of_another_shape_is_refused(box):
    with pytest.raises(PromptError):
        Prompt(box=box)


@pytest.mark.parametrize(
    "box", [(10, 20, 50, 60), (50, 60, 10, 20), (50, 20, 10, 60), (10, 60, 50, 20)]
)
def test_a_box_can_be_dragged_from_any_corner(box):
    assert Prompt(box=box).box == (10, 20, 50, 60)


@pytest.mark.parametrize(
    "numbers",
    [
        np.array,
        lambda values: np.array(values, np.float32),
        lambda values: np.array(values, np.int64),
        torch.tensor,
        lambda values: tuple(np.array(values)),
        lambda values: list(np.array(values, np.int32)),
    ],
)
def test_arrays_are_accepted_and_kept_as_plain_numbers(numbers):
    prompt = Prompt(numbers([[3, 4], [5, 6]]), numbers([1, 0]), numbers([1, 2, 30, 40]))
    assert prompt == Prompt([(3, 4), (5, 6)], [1, 0], (1, 2, 30, 40))
    assert all(type(value) is float for point in prompt.point_coords for value in point)
    assert all(type(label) is int for label in prompt.point_labels)
    assert all(type(value) is float for value in prompt.box)


def test_a_prompt_cannot_be_changed():
    coords = [[1, 2]]
    prompt = Prompt(coords, [1])
    coords[0][0] = 99
    coords.append([3, 4])
    assert prompt.point_coords == ((1, 2),)
    with pytest.raises(FrozenInstanceError):
        prompt.box = (0, 0, 1, 1)


def test_equal_prompts_are_equal_keys():
    assert len({Prompt([(1, 2)], [1]), Prompt([[1.0, 2.0]], (1,))}) == 1


def test_adding_gives_a_new_prompt_and_leaves_the_old_one():
    first = Prompt([(1, 2)], [1])
    second = first.add_point(3, 4, 0).set_box((9, 9, 5, 5))
    assert first == Prompt([(1, 2)], [1])
    assert second == Prompt([(1, 2), (3, 4)], [1, 0], (5, 5, 9, 9))
    assert second.set_box(None).box is None
    with pytest.raises(PromptError):
        first.add_point(float("nan"), 0, 1)


def test_only_one_point_alone_is_ambiguous():
    assert Prompt([(1, 2)], [1]).is_single_point
    assert not Prompt([(1, 2), (3, 4)], [1, 1]).is_single_point
    assert not Prompt([(1, 2)], [1], (0, 0, 5, 5)).is_single_point
    assert not Prompt(box=(0, 0, 5, 5)).is_single_point


def test_an_empty_prompt_is_refused():
    assert Prompt().is_empty
    with pytest.raises(PromptError, match="at least one"):
        Prompt().check_answerable(PHOTO_HW)


@pytest.mark.parametrize("point", [(0, 0), (180, 120), (180, 0), (0, 120), (90.5, 60.25)])
def test_points_on_the_photos_edge_are_accepted(point):
    assert Prompt([point], [1]).check_answerable(PHOTO_HW) is None


@pytest.mark.parametrize("point", [(-0.1, 5), (5, -1), (180.1, 5), (5, 120.1), (5, 150)])
def test_a_point_outside_the_photo_is_refused(point):
    with pytest.raises(PromptError, match="outside"):
        Prompt([(5, 5), point], [1, 1]).check_answerable(PHOTO_HW)


@pytest.mark.parametrize("box", [(-1, 0, 5, 5), (0, -1, 5, 5), (0, 0, 181, 5), (0, 0, 5, 121)])
def test_a_box_outside_the_photo_is_refused(box):
    assert Prompt(box=(0, 0, 180, 120)).check_answerable(PHOTO_HW) is None
    with pytest.raises(PromptError, match="outside"):
        Prompt(box=box).check_answerable(PHOTO_HW)


def test_a_prompt_is_read_from_json():
    prompt = prompt_from_rows([[1, 2, 1], [3.5, 4, 0]], [9, 9, 5, 5])
    assert prompt == Prompt([(1, 2), (3.5, 4)], [1, 0], (5, 5, 9, 9))
    assert prompt_from_rows(None, None) == Prompt()


@pytest.mark.parametrize(
    ("points", "box", "sentence"),
    [
        ("ab", None, "points must be a list."),
        ([[1, 2]], None, "points[0] must be [x, y, label]."),
        ([[1, 2, 1], {"x": 1}], None, "points[1] must be [x, y, label]."),
        ([[1, None, 1]], None, "points[0][1] must be a finite number."),
        ([[1, 2, -1]], None, "points[0][2] must be 1 (foreground) or 0 (background)."),
        (None, [1, 2, 3], "box must be [x0, y0, x1, y1]."),
        (None, [1, 2, 3, "4"], "box[3] must be a finite number."),
        ([[1, 2, 1]] * 65, None, "points must have at most 64 items."),
    ],
)
def test_an_error_names_the_field_and_what_is_expected(points, box, sentence):
    with pytest.raises(PromptError) as refusal:
        prompt_from_rows(points, box)
    assert str(refusal.value) == sentence


def test_positional_and_named_arguments_have_the_same_errors():
    for refused in (lambda: Prompt([(1, 2)], [7]), lambda: Prompt([(1, 2)], point_labels=[7])):
        with pytest.raises(PromptError, match=r"^point_labels\[0\] must be 1"):
            refused()
