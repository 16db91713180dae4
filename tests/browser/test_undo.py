"""Undo beside clicks: kept, named, deleted and moved, the last one first."""

from tests.browser.object_list import delete, names, press_next, row, rows
from tests.browser.result_view import LARGE, on, pull, red_centre, show_result
from tests.serving import LEFT, RIGHT


def keep_as(demo, name):
    """Keeps the mask by the key, types the name and returns to the photo."""
    demo.page.keyboard.press("n")
    demo.page.keyboard.type(name)
    demo.page.keyboard.press("Enter")


def undo(demo):
    demo.page.keyboard.press("Control+z")


def current(demo):
    return [one["name"] for one in rows(demo) if one["current"]]


def test_a_name_is_undone_before_the_object_is_edited_again(demo):
    demo.click(LEFT.centre)
    keep_as(demo, "dog")
    undo(demo)
    assert names(demo) == ["Object 1"]
    assert current(demo) == []
    undo(demo)
    assert current(demo) == ["Object 1"]
    undo(demo)  # the click
    demo.settle()
    assert not demo.mask().any()


def test_a_later_name_is_undone_and_no_other_object_is_edited(demo):
    for disc, name in ((LEFT, "dog"), (RIGHT, "bush")):
        demo.click(disc.centre)
        keep_as(demo, name)
    field = row(demo, 0).locator("input")
    field.fill("puppy")
    field.press("Enter")
    assert names(demo) == ["puppy", "bush"]
    undo(demo)
    assert names(demo) == ["dog", "bush"]
    assert current(demo) in ([], ["dog"])


def test_deletions_are_undone_one_after_the_other(two):
    delete(two, 0)
    delete(two, 0)
    assert names(two) == []
    undo(two)
    assert names(two) == ["Object 2"]
    undo(two)
    assert names(two) == ["Object 1", "Object 2"]
    undo(two)  # the second was kept last
    assert current(two) == ["Object 2"]


def test_a_note_takes_back_what_it_tells_of_once(two):
    delete(two, 0)
    row(two, 0).locator("input").fill("cup")
    row(two, 0).locator("input").press("Enter")
    two.part("note-undo").click()
    assert names(two) == ["Object 1", "cup"]
    undo(two)
    assert names(two) == ["Object 1", "Object 2"]


def test_a_move_in_the_result_is_undone_and_the_object_stays_kept(demo, large):
    demo.open(large)
    demo.click(LARGE.centre)
    keep_as(demo, "flower")
    show_result(demo)
    on(demo, "#ffffff")
    before = red_centre(demo)
    pull(demo, 300, 0)
    assert red_centre(demo)[0] - before[0] > 200
    undo(demo)
    assert abs(red_centre(demo)[0] - before[0]) < 6
    assert current(demo) == []
    undo(demo)  # nothing is left to undo in this view
    demo.settle()
    assert demo.data("view") == "result"
    assert current(demo) == []


def test_a_deletion_after_a_move_in_the_result_is_undone_first(two):
    show_result(two)
    on(two, "#ffffff")
    two.part("result-size").fill("50")
    delete(two, 1)
    undo(two)
    assert names(two) == ["Object 1", "Object 2"]
    assert two.part("result-size").input_value() == "50"
    undo(two)
    assert two.part("result-size").input_value() == "100"


def test_on_a_touch_screen_a_kept_object_can_be_edited_again_by_undo(phone):
    phone.click(LEFT.centre)
    phone.page.locator("[data-do=next]:visible").first.tap()
    assert phone.text("note-text") == "Kept as “Object 1”."
    phone.page.locator(".sam-history [data-do=undo]").tap()
    phone.settle()
    assert current(phone) == ["Object 1"]


def test_the_key_n_leads_to_the_name_on_a_touch_screen_too(phone):
    phone.click(LEFT.centre)
    keep_as(phone, "dog")
    assert names(phone) == ["dog"]
    assert current(phone) == []
    assert phone.data("tool") == "click"


def test_undo_after_a_merge_gives_both_objects_back(two):
    row(two, 0).locator(".sam-swatch").click()
    two.page.locator("[data-do=merge]").click()
    row(two, 1).locator(".sam-swatch").click()
    two.wait_for_objects(1)
    undo(two)
    two.wait_for_objects(2)
    press_next(two)
    assert names(two) == ["Object 1", "Object 2"]
