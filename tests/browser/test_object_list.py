"""Several objects in one photo: added, named, edited, hidden, deleted."""

import json

import numpy as np
import pytest

from tests.browser.object_list import (
    coco_masks,
    delete,
    edit,
    index_picture,
    is_drawn,
    layer_at,
    load,
    names,
    press_next,
    row,
    rows,
    save_all,
)
from tests.serving import LEFT, RIGHT


def test_an_object_stays_visible_in_its_colour_and_the_next_click_begins_another(demo):
    assert not demo.page.locator(".sam-panel [data-do=next]").is_enabled()
    demo.click(LEFT.centre)
    press_next(demo)
    assert not demo.mask().any()
    assert is_drawn(demo, LEFT)
    assert not is_drawn(demo, RIGHT)
    swatch = rows(demo)[0]["colour"]
    red, green, blue, _ = layer_at(demo, LEFT)
    shown = [int(part) for part in swatch[4:-1].split(",")]
    assert np.abs(np.array(shown) - [red, green, blue]).max() <= 3
    demo.click(RIGHT.centre)
    assert len(demo.interactions()[-1]) == 1
    assert names(demo) == ["Object 1", "Object 2"]
    assert [one["current"] for one in rows(demo)] == [False, True]
    assert len({one["colour"] for one in rows(demo)}) == 2


def test_undo_goes_back_to_the_object_that_was_just_kept(demo):
    demo.click(LEFT.centre)
    mask = demo.mask()
    press_next(demo)
    assert not demo.part("note").is_visible()
    demo.click(RIGHT.centre)
    demo.do("undo")  # the click
    with demo.answered():
        demo.do("undo")  # the object was kept
    assert [one["current"] for one in rows(demo)] == [True]
    assert np.array_equal(demo.mask(), mask)
    demo.do("undo")
    assert not demo.mask().any()


def test_the_key_n_waits_for_the_answer_of_the_last_click(demo):
    demo.page.evaluate("() => document.activeElement.blur()")
    with demo.answered():
        demo.press(LEFT.centre)
        demo.page.keyboard.press("n")
    demo.wait_for("() => !document.querySelector('.sam-object[aria-current]')")
    assert names(demo) == ["Object 1"]
    assert is_drawn(demo, LEFT)


def test_an_object_that_is_edited_has_its_clicks_and_their_undo(two):
    edit(two, 0)
    assert [one["current"] for one in rows(two)] == [True, False]
    assert two.mask()[LEFT.y, LEFT.x]
    assert not is_drawn(two, LEFT)
    assert is_drawn(two, RIGHT)
    two.click((95, 110))
    assert [step["x"] for step in two.interactions()[-1]] == [LEFT.x, 95]
    with two.answered():
        two.do("undo")
    assert [step["x"] for step in two.interactions()[-1]] == [LEFT.x]
    edit(two, 1)
    assert [step["x"] for step in two.interactions()[-1]] == [RIGHT.x]
    assert names(two) == ["Object 1", "Object 2"]


def test_an_edited_object_that_is_cleared_is_restored_when_another_is_edited(two):
    edit(two, 0)
    two.do("clear")
    assert not two.mask().any()
    edit(two, 1)
    assert names(two) == ["Object 1", "Object 2"]
    assert is_drawn(two, LEFT)


def test_the_key_e_edits_the_object_under_the_pointer(two):
    two.page.mouse.move(*two.place(*RIGHT.centre))
    with two.answered():
        two.page.keyboard.press("e")
    assert [one["current"] for one in rows(two)] == [False, True]


def test_objects_survive_undo_redo_and_clear_of_another(two):
    two.click((20, 20))
    two.do("undo")
    two.do("redo")
    two.do("clear")
    assert names(two)[:2] == ["Object 1", "Object 2"]
    assert is_drawn(two, LEFT)
    assert is_drawn(two, RIGHT)


@pytest.mark.parametrize("size", [(1440, 900), (1024, 768)])
def test_the_row_of_the_object_that_is_edited_stays_in_the_list(two, size):
    two.page.set_viewport_size({"width": size[0], "height": size[1]})
    shape = {"label": "spot", "shape_type": "rectangle", "points": [[1, 1], [9, 9]]}
    load(two, json.dumps({"shapes": [shape] * 20}).encode())
    two.wait_for_objects(22)
    edit(two, 0)  # its candidates take room from the list
    assert is_in_list(two)
    two.part("object-list").evaluate("(list) => { list.scrollTop = 9999; }")
    assert not is_in_list(two)
    two.click((95, 110))
    assert is_in_list(two)
    press_next(two)
    two.click((280, 180))  # a new object, whose row comes last
    assert is_in_list(two)


def is_in_list(demo):
    """Whether the whole row of the object that is edited shows."""
    demo.settle()
    outer = demo.part("object-list").bounding_box()
    inner = demo.page.locator(".sam-object[aria-current]").bounding_box()
    is_below_top = inner["y"] >= outer["y"] - 1
    return is_below_top and inner["y"] + inner["height"] <= outer["y"] + outer["height"] + 1


def test_a_name_can_be_changed_but_not_be_empty(two):
    field = row(two, 0).locator("input")
    field.fill("red disc")
    field.press("Enter")
    assert set(coco_masks(save_all(two, "coco_rle")[1])) == {"red disc", "Object 2"}
    field = row(two, 1).locator("input")
    field.fill("   ")
    field.press("Enter")
    assert names(two) == ["red disc", "Object 2"]


def test_a_double_click_on_a_name_selects_it_and_no_candidate_that_comes_under_the_pointer(two):
    name = row(two, 0).locator("input")
    box = name.bounding_box()
    x, y = box["x"] + 20, box["y"] + box["height"] / 2
    two.page.mouse.click(x, y)
    two.wait_for("() => document.querySelector('.sam-candidate[aria-pressed=true]')")
    chosen = two.pressed()
    # Where the row was there is something else now; the candidates come as near as it takes.
    candidate = two.candidates().nth((chosen[0] + 1) % 3).bounding_box()
    two.page.mouse.move(candidate["x"] + 5, candidate["y"] + 5)
    two.page.mouse.down(click_count=2)
    two.page.mouse.up(click_count=2)
    two.settle()
    assert two.pressed() == chosen
    two.page.keyboard.type("Ball")
    assert name.input_value() == "Ball"
    two.candidates().nth((chosen[0] + 1) % 3).click()
    assert two.pressed() != chosen


def test_a_hidden_object_is_not_drawn_but_downloaded(two):
    row(two, 0).locator(".sam-eye").click()
    assert not is_drawn(two, LEFT)
    assert is_drawn(two, RIGHT)
    assert set(np.unique(index_picture(two))) == {0, 1, 2}
    row(two, 0).locator(".sam-eye").click()
    assert is_drawn(two, LEFT)


def test_undo_restores_a_deleted_object_at_its_place(two):
    delete(two, 0)
    assert names(two) == ["Object 2"]
    assert not is_drawn(two, LEFT)
    assert "Object 1" in two.text("note-text")
    two.part("note-undo").click()
    assert names(two) == ["Object 1", "Object 2"]
    assert is_drawn(two, LEFT)
    assert not two.part("note").is_visible()


def test_the_keyboard_deletes_and_restores_an_object_and_the_focus_stays_near(two):
    focused = "() => document.activeElement.getAttribute('aria-label')"
    row(two, 0).get_by_label("Delete Object 1").focus()
    two.page.keyboard.press("Enter")
    assert names(two) == ["Object 2"]
    assert two.page.evaluate(focused) == "Delete Object 2"
    two.page.keyboard.press("Control+z")
    assert names(two) == ["Object 1", "Object 2"]
    assert not two.part("note").is_visible()
    for _ in range(2):
        row(two, 0).locator(".sam-remove").focus()
        two.page.keyboard.press("Enter")
    assert names(two) == []
    assert two.page.evaluate("() => document.activeElement.dataset.part") == "marks"


def test_undo_takes_back_what_was_done_last_in_the_list_or_on_the_photo(two):
    two.click((20, 20))
    delete(two, 0)
    two.page.keyboard.press("Control+z")
    assert names(two)[:2] == ["Object 1", "Object 2"]
    assert len(two.interactions()[-1]) == 1
    assert two.mask().any()
    delete(two, 0)
    two.click((30, 30))
    with two.answered():
        two.do("undo")
    assert names(two) == ["Object 2", "Object 3"]
    two.do("undo")
    assert names(two) == ["Object 1", "Object 2", "Object 3"]


def test_an_edited_object_keeps_its_mask_when_the_deletion_of_another_is_undone(two):
    edit(two, 1)
    delete(two, 0)
    assert two.button("undo").first.is_enabled()
    two.page.keyboard.press("Control+z")
    assert names(two) == ["Object 1", "Object 2"]
    assert two.mask()[RIGHT.y, RIGHT.x]


def test_the_current_object_can_be_deleted_and_restored_too(demo):
    demo.click(LEFT.centre)
    delete(demo, 0)
    assert not demo.mask().any()
    assert names(demo) == []
    demo.click(RIGHT.centre)
    assert names(demo) == ["Object 2"]
    demo.part("note-undo").click()
    assert names(demo) == ["Object 1", "Object 2"]
    edit(demo, 0)
    assert demo.mask()[LEFT.y, LEFT.x]


def test_the_object_list_works_with_touch_on_a_narrow_screen(phone):
    demo = phone
    for disc in (LEFT, RIGHT):
        with demo.answered():
            demo.page.touchscreen.tap(*demo.place(*disc.centre))
        demo.page.locator(".sam-bar [data-do=next]").tap()
    assert names(demo) == ["Object 1", "Object 2"]
    overflow = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert demo.page.evaluate(overflow) == 0
    demo.page.locator(".sam-bar [data-do=sheet]").tap()
    width = demo.page.viewport_size["width"]
    for control in demo.page.locator(".sam-object button, .sam-panel .sam-select").all():
        box = control.bounding_box()
        assert box["height"] >= 40
        assert box["x"] + box["width"] <= width
    with demo.answered():
        row(demo, 0).locator(".sam-swatch").tap()
    assert demo.mask()[LEFT.y, LEFT.x]
