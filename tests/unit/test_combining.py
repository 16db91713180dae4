"""Merging, subtracting and splitting objects."""

import numpy as np
import pytest

from mobilesam.combining import MAX_PARTS, combine_masks
from mobilesam.errors import PromptError
from mobilesam.objects import PhotoObject


def item(*rows, name="a"):
    return PhotoObject(name, np.array([[c == "#" for c in row] for row in rows]))


LEFT, RIGHT, BOTH = item("##..", "##.."), item(".###", ".##."), item("####", "###.")


def rows(mask):
    return ["".join(".#"[value] for value in row) for row in mask.astype(int)]


def test_merging_gives_the_union():
    assert [rows(one) for one in combine_masks([LEFT, RIGHT], "merge")] == [rows(BOTH.mask)]


def test_subtracting_takes_all_others_away_from_the_first():
    assert [rows(one) for one in combine_masks([LEFT, RIGHT], "subtract")] == [["#...", "#..."]]
    third = item("#...", "....")
    assert [rows(one) for one in combine_masks([LEFT, RIGHT, third], "subtract")] == [
        ["....", "#..."]
    ]


def test_nothing_left_is_refused():
    with pytest.raises(PromptError, match="Nothing of the object would be left"):
        combine_masks([LEFT, BOTH], "subtract")


def test_splitting_gives_the_parts_the_largest_first_and_diagonals_hold_together():
    parts = combine_masks([item("#..#.", "...#.", "..#..", "#....")], "split")
    assert [rows(part) for part in parts] == [
        ["...#.", "...#.", "..#..", "....."],
        ["#....", ".....", ".....", "....."],
        [".....", ".....", ".....", "#...."],
    ]


def test_one_part_cannot_be_split():
    with pytest.raises(PromptError, match="only one part"):
        combine_masks([LEFT], "split")
    with pytest.raises(PromptError, match="only one part"):
        combine_masks([item("....", "....")], "split")


def test_specks_beyond_the_limit_stay_together():
    mask = np.zeros((3, 4 * MAX_PARTS), bool)
    mask[1, ::2] = True
    parts = combine_masks([PhotoObject("dust", mask)], "split")
    assert len(parts) == MAX_PARTS
    assert sum(int(part.sum()) for part in parts) == 2 * MAX_PARTS
    assert np.array_equal(np.logical_or.reduce(parts), mask)


@pytest.mark.parametrize("operation", [None, "join", 3, ["merge"]])
def test_an_unknown_operation_is_refused(operation):
    with pytest.raises(PromptError, match="combined by"):
        combine_masks([LEFT], operation)


def test_no_objects_and_other_sizes_are_refused():
    with pytest.raises(PromptError, match="Choose an object"):
        combine_masks([], "merge")
    with pytest.raises(PromptError, match="4 x 1"):
        combine_masks([LEFT, item("####", name="b")], "merge")
