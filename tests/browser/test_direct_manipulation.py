"""Markers that are dragged and removed, and what shows under the pointer."""

import numpy as np
import pytest

from tests.browser.driver import Gate
from tests.browser.object_list import edit, index_picture, names, press_next, row, rows
from tests.browser.test_touch import Fingers
from tests.serving import LEFT, RIGHT

POINT = {"type": "point", "x": LEFT.x, "y": LEFT.y, "label": 1}
BOX = (40, 50, 141, 151)  # around the left disc
_CURSOR = "() => getComputedStyle(document.querySelector('[data-part=marks]')).cursor"
_FOCUSED = "() => document.activeElement.dataset.part || document.activeElement.tagName"
_REPEATED = "() => new Promise((resolve) => setTimeout(resolve, 400))"  # of a double click


def press_at(demo, xy):
    demo.page.mouse.move(*demo.place(*xy))
    demo.page.mouse.down()


def move_to(demo, *places):
    for xy in places:
        demo.page.mouse.move(*demo.place(*xy))


def double_click_is_over(demo):
    demo.page.evaluate(_REPEATED)


@pytest.fixture
def clicked(demo):
    """The demo with a click on the left disc."""
    demo.click(LEFT.centre)
    return demo


@pytest.fixture
def boxed(demo):
    """The demo with a box around the left disc."""
    demo.drag((40, 50), (140, 150))
    assert demo.interactions()[-1] == [{"type": "box", "box": list(BOX)}]
    return demo


def test_a_dragged_point_takes_the_mask_with_it_and_one_undo_brings_both_back(clicked):
    before, marks = clicked.pixels("mask"), clicked.pixels("marks")
    asked = len(clicked.interactions())
    press_at(clicked, LEFT.centre)
    with clicked.answered():
        move_to(clicked, (150, 90), RIGHT.centre)
    assert clicked.mask()[RIGHT.y, RIGHT.x]  # while it is still held
    assert not clicked.mask()[LEFT.y, LEFT.x]
    clicked.page.mouse.up()
    clicked.settle()
    moved = [{**POINT, "x": RIGHT.x, "y": RIGHT.y}]
    assert clicked.interactions()[-1] == moved
    assert clicked.interactions().count(moved) == 1  # the mask of the drag is used
    assert len(clicked.interactions()) - asked <= 2
    with clicked.answered():
        clicked.do("undo")
    move_to(clicked, (290, 190))
    assert clicked.interactions()[-1] == [POINT]
    assert np.array_equal(clicked.pixels("mask"), before)
    assert np.array_equal(clicked.pixels("marks"), marks)
    clicked.do("undo")
    assert clicked.button("undo").is_disabled()


def test_while_a_handle_is_dragged_one_request_is_in_flight_and_no_stale_mask_shows(boxed):
    shown = boxed.pixels("mask")
    gate = Gate(boxed, Gate.hold)
    boxed.press((90, 100))  # unanswered when the drag begins
    gate.wait_held(1)
    press_at(boxed, (141, 151))
    for x in (150, 170, 190, 210):
        move_to(boxed, (x, 160))
        boxed.settle()
        assert len(gate.held) == 1
        assert np.array_equal(boxed.pixels("mask"), shown)
    gate.held[0].continue_()
    gate.wait_held(2)
    sent = boxed.interactions()[-1]
    assert [step["type"] for step in sent] == ["box", "point"]
    assert sent[0]["box"] == [40, 50, 210, 160]
    answered = boxed.pixels("mask")  # of the click
    move_to(boxed, (260, 180))
    boxed.page.mouse.up()
    gate.held[1].continue_()
    gate.wait_held(3)  # asked when the reply for the former position has come
    assert np.array_equal(boxed.pixels("mask"), answered)
    gate.held[2].continue_()
    boxed.wait_settled()
    boxed.page.unroute_all()
    final = boxed.pixels("mask")
    assert boxed.interactions()[-1] == [
        {"type": "box", "box": [40, 50, 260, 180]},
        {**POINT, "x": 90, "y": 100},
    ]
    for way in ("undo", "redo"):
        with boxed.answered():
            boxed.do(way)
    assert np.array_equal(boxed.pixels("mask"), final)


def test_escape_puts_a_dragged_marker_back_and_drops_the_reply_that_is_on_its_way(clicked):
    before = clicked.pixels("mask")
    gate = Gate(clicked, Gate.hold)
    press_at(clicked, LEFT.centre)
    move_to(clicked, (150, 90), RIGHT.centre)
    gate.wait_held(1)
    clicked.page.keyboard.press("Escape")
    clicked.page.mouse.up()
    gate.release(1)
    clicked.wait_settled()
    clicked.settle()
    assert np.array_equal(clicked.pixels("mask"), before)
    clicked.page.unroute_all()
    clicked.click((100, 120))
    assert clicked.interactions()[-1] == [POINT, {**POINT, "x": 100, "y": 120}]


def test_handles_and_the_border_of_a_box_have_their_cursors_and_the_inside_is_for_clicks(boxed):
    page = boxed.page
    for xy, cursor in {
        (40, 50): "nwse-resize",
        (141, 50): "nesw-resize",
        (90, 50): "ns-resize",
        (141, 100): "ew-resize",
        (60, 50): "move",
        (90, 100): "crosshair",
    }.items():
        move_to(boxed, xy)
        assert page.evaluate(_CURSOR) == cursor
    with boxed.answered():
        press_at(boxed, (60, 50))
        move_to(boxed, (70, 60), (80, 60))
        page.mouse.up()
    assert boxed.interactions()[-1] == [{"type": "box", "box": [60, 60, 161, 161]}]
    boxed.click((110, 100))
    assert [step["type"] for step in boxed.interactions()[-1]] == ["box", "point"]


@pytest.mark.parametrize("button", ["left", "right"])
def test_a_click_on_a_point_removes_it_and_undo_brings_it_back(clicked, button):
    clicked.click((100, 130))
    double_click_is_over(clicked)
    move_to(clicked, (101, 131))
    assert "click to remove" in clicked.part("marks").get_attribute("title")
    with clicked.answered():
        clicked.press((101, 131), button)
    assert clicked.interactions()[-1] == [POINT]
    with clicked.answered():
        clicked.do("undo")
    assert len(clicked.interactions()[-1]) == 2


def test_a_double_click_counts_once(demo):
    x, y = demo.place(*LEFT.centre)
    with demo.answered():
        demo.page.mouse.dblclick(x, y)
    demo.settle()
    assert demo.interactions() == [[POINT]]
    demo.do("undo")
    assert demo.button("undo").is_disabled()


def test_delete_removes_the_point_under_the_crosshair_then_the_object(clicked):
    page = clicked.page
    clicked.click((150, 130), "right")
    move_to(clicked, (290, 190))
    double_click_is_over(clicked)
    clicked.part("marks").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")  # the crosshair is in the middle, on no point
    for _ in range(40):
        page.keyboard.press("ArrowDown")
        if "click to remove" in (clicked.part("marks").get_attribute("title") or ""):
            break
    with clicked.answered():
        page.keyboard.press("Delete")
    assert clicked.interactions()[-1] == [POINT]
    assert names(clicked) == ["Object 1"]
    page.keyboard.press("Delete")
    assert names(clicked) == []
    assert not clicked.mask().any()
    assert "Object 1" in clicked.text("note-text")
    page.keyboard.press("Control+z")
    assert names(clicked) == ["Object 1"]


def test_a_finger_moves_and_removes_a_point(phone):
    with phone.answered():
        phone.page.touchscreen.tap(*phone.place(*LEFT.centre))
    x, y = phone.place(*LEFT.centre)
    with phone.answered():
        Fingers(phone).drag((x + 15, y), (x + 75, y))
    (step,) = phone.interactions()[-1]
    assert step["type"] == "point"
    assert step["x"] - LEFT.x == pytest.approx(60 / phone.scale(), abs=1.5)
    double_click_is_over(phone)
    phone.page.touchscreen.tap(*phone.place(step["x"], step["y"]))
    phone.wait_for(
        "() => document.querySelector('.sam-bar [data-do=clear], [data-do=clear]').disabled"
    )
    assert not phone.mask().any()


# -- objects -----------------------------------------------------------------------------------


def test_a_click_on_a_kept_object_edits_it(two):
    move_to(two, RIGHT.centre)
    assert two.page.evaluate(_CURSOR) == "pointer"
    assert "Edit" in two.part("marks").get_attribute("title")
    with two.answered():
        two.press(RIGHT.centre)
    assert [one["current"] for one in rows(two)] == [False, True]
    assert two.interactions()[-1] == [{**POINT, "x": RIGHT.x, "y": RIGHT.y}]
    two.click(LEFT.centre)  # may be a correction now
    assert len(two.interactions()[-1]) == 2
    assert names(two) == ["Object 1", "Object 2"]


def test_a_negative_click_on_a_kept_object_never_selects_it(two):
    for button, modifier in (("right", None), ("left", "Alt")):
        two.press(LEFT.centre, button, modifier)
        two.settle()
        assert [one["current"] for one in rows(two)] == [False, False]
        two.do("undo")


def test_a_hidden_object_is_not_selected(two):
    row(two, 0).locator(".sam-eye").click()
    two.click(LEFT.centre)
    assert len(names(two)) == 3


def test_rows_and_objects_point_to_each_other(two):
    assert two.marks() == 0
    row(two, 0).hover()
    left = two.marks()
    assert left > 0
    row(two, 1).hover()
    assert 0 < two.marks() < left  # the right disc is smaller
    highlighted = (
        "() => [...document.querySelectorAll('.sam-object')].map((row) => row.dataset.highlighted)"
    )
    for disc, wanted in ((LEFT, ["yes", "no"]), (RIGHT, ["no", "yes"])):
        move_to(two, disc.centre)
        assert two.page.evaluate(highlighted) == wanted
    move_to(two, (290, 190))
    assert two.page.evaluate(highlighted) == ["no", "no"]
    assert two.marks() == 0


def test_an_object_has_one_colour_in_its_row_on_the_photo_and_in_the_file(demo):
    for disc in (LEFT, RIGHT):
        demo.click(disc.centre)
        red, green, blue, alpha = demo.pixels("mask")[disc.y, disc.x]
        swatch = [int(part) for part in rows(demo)[-1]["colour"][4:-1].split(",")]
        assert alpha == 0x6B
        assert np.abs(np.array(swatch) - [red, green, blue]).max() <= 3  # premultiplied
        thumbnail = demo.candidates().nth(demo.pressed()[0]).locator("canvas")
        assert thumbnail.count() == 1
        press_next(demo)
    assert len({one["colour"] for one in rows(demo)}) == 2
    edit(demo, 0)
    swatch = [int(part) for part in rows(demo)[0]["colour"][4:-1].split(",")]
    assert np.abs(np.array(swatch) - demo.pixels("mask")[LEFT.y, LEFT.x, :3]).max() <= 3
    picture = index_picture(demo)
    assert picture[LEFT.y, LEFT.x] == 1
    assert picture[RIGHT.y, RIGHT.x] == 2
    sent = demo.sent("export")[-1]["objects"]
    for one, item in zip(rows(demo), sent, strict=True):
        channels = [int(part) for part in one["colour"][4:-1].split(",")]
        assert item["colour"] == "#" + "".join(f"{channel:02x}" for channel in channels)


# -- candidates --------------------------------------------------------------------------------


def told(demo, candidate):
    """Whether the line below the candidates is about this one."""
    quality = demo.candidates().nth(candidate).inner_text().split()[-1]
    return demo.text("verdict").startswith(f"Quality {quality} · ")


def test_a_candidate_under_the_pointer_shows_on_the_photo_and_changes_nothing(clicked):
    before = clicked.pixels("mask")
    (chosen,) = clicked.pressed()
    other = 1 if chosen != 1 else 0
    with clicked.answered():
        clicked.candidates().nth(other).hover()
    preview = clicked.pixels("mask")
    assert not np.array_equal(preview, before)
    assert told(clicked, other)
    assert clicked.pressed() == [chosen]
    assert clicked.interactions()[-1] == [POINT, {"type": "candidate", "index": other}]
    move_to(clicked, (290, 190))
    assert np.array_equal(clicked.pixels("mask"), before)
    assert told(clicked, chosen)
    asked = len(clicked.interactions())
    with clicked.answered():
        clicked.candidates().nth(other).hover()
    clicked.candidates().nth(other).click()
    clicked.wait_for(
        "(n) => document.querySelectorAll('.sam-candidate')[n].ariaPressed === 'true'", other
    )
    clicked.settle()
    assert np.array_equal(clicked.pixels("mask"), preview)
    assert len(clicked.interactions()) - asked <= 2
    with clicked.answered():
        clicked.page.keyboard.press("Control+z")
    assert np.array_equal(clicked.pixels("mask"), before)


def test_the_candidate_with_the_focus_shows_until_the_focus_leaves(clicked):
    before = clicked.pixels("mask")
    (chosen,) = clicked.pressed()
    page = clicked.page
    clicked.part("marks").focus()
    with clicked.answered():
        for _ in range(20):
            page.keyboard.press("Tab")
            label = page.evaluate("() => document.activeElement.title || ''")
            if label.startswith("Candidate") and f"Candidate {chosen + 1}" not in label:
                break
    assert not np.array_equal(clicked.pixels("mask"), before)
    page.evaluate("() => document.activeElement.blur()")
    assert np.array_equal(clicked.pixels("mask"), before)


def test_a_preview_that_is_late_never_shows(clicked):
    before = clicked.pixels("mask")
    (chosen,) = clicked.pressed()
    gate = Gate(clicked, Gate.hold)
    clicked.candidates().nth(1 if chosen != 1 else 0).hover()
    gate.wait_held(1)
    move_to(clicked, (290, 190))
    gate.release(1)
    clicked.wait_settled()
    clicked.settle()
    assert np.array_equal(clicked.pixels("mask"), before)


# -- the keyboard ------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["key", "button"])
def test_a_kept_object_can_be_named_at_once(clicked, way):
    page = clicked.page
    if way == "key":
        page.keyboard.press("n")
    else:
        clicked.page.locator(".sam-panel [data-do=next]").click()
    clicked.wait_for("() => document.activeElement.matches('.sam-object input')")
    page.keyboard.type("red disc")
    page.keyboard.press("Enter")
    assert page.evaluate(_FOCUSED) == "marks"
    assert names(clicked) == ["red disc"]
    clicked.click(RIGHT.centre)
    page.keyboard.press("n")
    clicked.wait_for("() => document.activeElement.matches('.sam-object input')")
    clicked.click((20, 180))  # leaves the name as it is, that of the last one
    page.keyboard.press("n")
    clicked.wait_for_objects(3)
    assert names(clicked) == ["red disc"] * 3
    page.keyboard.type("something else")
    page.keyboard.press("Escape")  # restores the name
    assert page.evaluate(_FOCUSED) == "marks"
    assert names(clicked) == ["red disc"] * 3


def test_a_tap_on_the_button_names_nothing(phone):
    with phone.answered():
        phone.page.touchscreen.tap(*phone.place(*LEFT.centre))
    phone.page.locator(".sam-bar [data-do=next]").tap()
    phone.wait_for("() => !document.querySelector('.sam-object[aria-current]')")
    assert not phone.page.evaluate("() => document.activeElement.matches('input')")


def test_after_a_tap_on_keep_a_note_leads_to_the_name(phone):
    note = phone.part("note")

    def keep(disc):
        with phone.answered():
            phone.page.touchscreen.tap(*phone.place(*disc.centre))
        phone.page.locator(".sam-bar [data-do=next]").tap()

    keep(LEFT)
    assert phone.text("note-text") == "Kept as “Object 1”."
    bar = phone.page.locator(".sam-actions").bounding_box()
    box = note.bounding_box()
    assert box["y"] + box["height"] <= bar["y"]
    note.get_by_text("Name it").tap()
    assert note.is_hidden()
    assert phone.data("sheet") == "yes"
    assert phone.page.evaluate("() => document.activeElement.value") == "Object 1"
    phone.page.keyboard.type("cup")
    phone.page.keyboard.press("Enter")
    assert names(phone) == ["cup"]
    assert phone.data("sheet") == "no"
    keep(RIGHT)
    assert note.is_visible()
    phone.page.touchscreen.tap(*phone.place(150, 190))  # the next object is begun
    assert note.is_hidden()


def test_an_example_opened_by_the_keyboard_leaves_the_focus_on_the_photo(demo):
    demo.page.keyboard.press("Tab")
    demo.part("examples").locator("button").first.focus()
    with demo.opened():
        demo.page.keyboard.press("Enter")
    assert demo.page.evaluate(_FOCUSED) == "marks"
