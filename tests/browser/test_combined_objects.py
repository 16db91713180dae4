"""Objects that are merged, subtracted and split."""

import numpy as np

from tests.browser.object_list import coco_masks, edit, is_drawn, names, press_next, row, save_all
from tests.serving import LEFT, RIGHT


def exact(demo):
    return coco_masks(save_all(demo, "coco_rle")[1])


def test_two_objects_become_one_and_undo_brings_both_back(two):
    before = exact(two)
    edit(two, 0)
    two.do("merge")
    with two.answered():
        two.press(RIGHT.centre)
    two.wait_for_objects(1)
    assert np.array_equal(exact(two)["Object 1"], before["Object 1"] | before["Object 2"])
    with two.answered():
        two.part("note-undo").click()
    two.wait_for_objects(2)
    after = exact(two)
    assert all(np.array_equal(after[name], before[name]) for name in before)


def test_a_row_can_be_chosen_for_subtracting(two):
    edit(two, 0)
    with two.answered():
        two.drag((5, 5), (290, 190))
    before = exact(two)
    whole, right = before["Object 1"], before["Object 2"]
    two.do("subtract")
    with two.answered():
        row(two, 1).click(position={"x": 5, "y": 5})
    assert names(two) == ["Object 1", "Object 2"]
    assert np.array_equal(exact(two)["Object 1"], whole & ~right)


def test_a_merged_object_is_split_again(two):
    before = exact(two)
    edit(two, 0)
    two.do("merge")
    with two.answered():
        row(two, 1).click(position={"x": 5, "y": 5})
    two.wait_for_objects(1)
    with two.answered():
        two.do("split")
    two.wait_for_objects(2)
    document = save_all(two, "coco_rle")[1]
    assert document.count(b'"segmentation"') == 2
    assert is_drawn(two, LEFT) or is_drawn(two, RIGHT)
    assert sum(int(mask.sum()) for mask in before.values()) > 0


def test_cancelling_leaves_everything_as_it_was(two):
    edit(two, 0)
    two.do("merge")
    two.part("note-undo").click()
    with two.answered():
        two.press(RIGHT.centre)  # selects it, as always
    assert len(names(two)) == 2


def test_only_kept_objects_can_be_combined(demo):
    demo.click(LEFT.centre)
    assert not demo.button("merge").is_enabled()
    press_next(demo)
    assert not demo.button("split").is_enabled()


def test_one_part_cannot_be_split(two):
    edit(two, 0)
    with two.refused():
        two.do("split")
    assert "only one part" in two.alert()
    assert len(names(two)) == 2
