"""What a user can do while a photo is being opened, and which gestures send no request."""

import pytest

from tests.browser.driver import Gate, hold_opening
from tests.browser.object_list import press_next, row
from tests.serving import LEFT, RIGHT, Disc, draw


def shown_width(demo):
    return demo.part("photo").evaluate("(canvas) => canvas.width")


def test_a_photo_chosen_while_another_is_encoded_replaces_it(empty_demo, app, tmp_path):
    """The newer photo waits in the queue; the answer for the older one is dropped."""
    demo = empty_demo
    for width in (301, 302):
        draw(width, 200, [Disc(width - 60, 50, 30)]).save(tmp_path / f"{width}.png")
    with app.holds.held("encode"):
        demo.choose_file(tmp_path / "301.png")
        app.holds.wait_begun("encode")
        demo.choose_file(tmp_path / "302.png")
        demo.wait_for("() => document.querySelector('[data-part=incoming]').width === 302")
    demo.page.wait_for_selector(".sam[data-state=ready]")
    demo.settle()
    assert shown_width(demo) == 302
    assert demo.count("ready") == 1
    assert demo.alert() == ""


def test_a_click_on_a_photo_that_is_being_opened_is_answered_when_it_is_open(empty_demo, photo):
    demo = empty_demo
    held = hold_opening(demo)
    demo.choose_file(photo)
    demo.part("incoming").wait_for(state="visible")
    stage = demo.part("stage").bounding_box()
    box = demo.part("incoming").bounding_box()
    scale = min(box["width"] / 300, box["height"] / 200)
    left = box["x"] + (box["width"] - 300 * scale) / 2
    top = box["y"] + (box["height"] - 200 * scale) / 2
    for disc in (LEFT, RIGHT):  # the newest click counts
        demo.page.mouse.click(left + disc.x * scale, top + disc.y * scale)
    with demo.answered():
        held.release(1)
    ((point,),) = demo.interactions()
    assert (point["type"], point["label"]) == ("point", 1)
    assert abs(point["x"] - RIGHT.x) <= 1
    assert abs(point["y"] - RIGHT.y) <= 1
    assert demo.mask()[RIGHT.y, RIGHT.x]
    assert demo.part("stage").bounding_box() == stage  # it has not moved under the pointer


def test_a_click_on_one_photo_that_is_being_opened_is_not_for_the_next(demo, tmp_path):
    held = hold_opening(demo)
    draw(310, 210, [LEFT]).save(tmp_path / "first.png")
    draw(307, 203, [RIGHT]).save(tmp_path / "other.png")
    demo.choose_file(tmp_path / "first.png")
    demo.wait_for("() => document.querySelector('[data-part=incoming]').width === 310")
    demo.part("incoming").click()
    with demo.opened():
        demo.choose_file(tmp_path / "other.png")
        demo.wait_for("() => document.querySelector('[data-part=incoming]').width === 307")
        held.release(2)
    demo.settle()
    assert demo.interactions() == []


def test_escape_cancels_the_opening_of_a_photo_and_keeps_the_open_one(demo, tmp_path):
    demo.click(LEFT.centre)
    mask, ready = demo.mask(), demo.count("ready")
    draw(307, 203, [RIGHT]).save(tmp_path / "other.png")
    held = hold_opening(demo)
    demo.choose_file(tmp_path / "other.png")
    demo.page.wait_for_selector(".sam[data-state=opening]")
    for command in ("undo", "clear", "mask", "cutout"):
        assert demo.button(command).is_disabled()
    held.wait_held(1)
    demo.page.keyboard.press("Escape")
    demo.page.wait_for_selector(".sam[data-state=ready]")
    held.release(1)
    demo.settle()
    assert demo.count("ready") == ready
    assert shown_width(demo) == 300
    assert (demo.mask() == mask).all()
    assert demo.button("mask").is_enabled()


def test_negative_points_alone_send_no_request_until_the_object_is_clicked(demo):
    demo.press((20, 20), "right")
    demo.settle()
    assert demo.interactions() == []
    assert "the object itself" in demo.text("hint")
    demo.click(LEFT.centre)
    assert [sent["label"] for sent in demo.interactions()[-1]] == [0, 1]


@pytest.mark.parametrize("across", [True, False])
def test_a_drag_as_thin_as_a_line_is_no_box(demo, across):
    x, y = demo.place(30, 40)
    demo.page.mouse.move(x, y)
    demo.page.mouse.down()
    demo.page.mouse.move(*((x + 200, y + 2) if across else (x + 2, y + 200)), steps=4)
    demo.page.mouse.up()
    demo.settle()
    assert demo.interactions() == []
    assert demo.button("undo").is_disabled()


def test_escape_during_a_drag_ends_the_drag_and_keeps_the_clicks(demo):
    demo.click(LEFT.centre)
    demo.page.mouse.move(*demo.place(30, 40))
    demo.page.mouse.down()
    demo.page.mouse.move(*demo.place(150, 160), steps=4)
    demo.page.keyboard.press("Escape")
    demo.page.mouse.up()
    demo.settle()
    assert len(demo.interactions()) == 1
    assert demo.button("clear").is_enabled()


def test_what_belongs_to_the_last_photo_is_no_longer_offered_while_another_opens(demo, tmp_path):
    demo.click(LEFT.centre)
    press_next(demo)
    demo.click(RIGHT.centre)
    name = row(demo, 0).locator("input")
    held = hold_opening(demo)
    draw(310, 210, [LEFT]).save(tmp_path / "other.png")
    demo.choose_file(tmp_path / "other.png")
    demo.page.wait_for_selector(".sam[data-state=opening]")
    assert demo.part("candidates").is_hidden()
    assert demo.part("verdict").is_hidden()
    assert name.is_hidden()
    demo.page.keyboard.press("Escape")
    assert demo.candidates().count() == 3
    assert demo.part("candidates").is_visible()
    assert name.is_visible()
    held.release(1)
    demo.settle()


def test_the_65th_point_is_refused_and_the_others_stay(demo):
    gate = Gate(demo, Gate.hold)
    x, y = demo.place(10, 10)
    for index in range(64):
        demo.page.mouse.click(x + 25 * (index % 32), y + 30 * (index // 32))
    assert demo.alert() == ""
    demo.page.mouse.click(*demo.place(200, 100))
    assert "64 points" in demo.alert()
    demo.page.keyboard.press("Escape")  # closes the message, and keeps the points
    assert demo.alert() == ""
    gate.wait_held(1)
    gate.held[0].continue_()
    gate.wait_held(2)
    assert [len(sent) for sent in demo.interactions()] == [1, 64]
