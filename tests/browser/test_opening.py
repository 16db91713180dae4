"""What a visitor can do while a photo is on its way, and which gestures ask for nothing."""

import pytest

from tests.browser.driver import wait_for_held
from tests.serving import LEFT, RIGHT, Disc, draw


def test_a_second_photo_chosen_while_one_is_encoded_takes_its_place(visitor, tmp_path):
    """The newer photo waits its turn in the queue; the older one's answer is dropped."""
    sizes = (301, 302)
    for width in sizes:
        draw(width, 200, [Disc(width - 60, 50, 30)]).save(tmp_path / f"{width}.png")
    visitor.page.locator("input[data-part=file]").set_input_files(tmp_path / "301.png")
    visitor.page.wait_for_selector(".sam[data-state=opening]")
    visitor.page.locator("input[data-part=file]").set_input_files(tmp_path / "302.png")
    visitor.page.wait_for_selector(".sam[data-state=ready]")
    assert visitor.part("photo").evaluate("(canvas) => canvas.width") == 302
    visitor.page.wait_for_timeout(1500)
    assert visitor.count("ready") == 1
    assert visitor.alert() == ""


def test_a_click_on_a_photo_that_is_still_on_its_way_is_answered_when_it_has_come(visitor, photo):
    held = []
    visitor.page.route("**/queue/join*", lambda route: held.append(route))
    visitor.choose_file(photo)
    visitor.wait_for("() => !document.querySelector('[data-part=incoming]').hidden")
    stage = visitor.part("stage").bounding_box()
    box = visitor.part("incoming").bounding_box()
    scale = min(box["width"] / 300, box["height"] / 200)
    left = box["x"] + (box["width"] - 300 * scale) / 2
    top = box["y"] + (box["height"] - 200 * scale) / 2
    for disc in (LEFT, RIGHT):  # the newest is meant
        visitor.page.mouse.click(left + disc.x * scale, top + disc.y * scale)
    with visitor.answered():
        wait_for_held(visitor, held, 1)
        held[0].continue_()
    ((point,),) = visitor.histories()
    assert (point["type"], point["label"]) == ("point", 1)
    assert abs(point["x"] - RIGHT.x) <= 1
    assert abs(point["y"] - RIGHT.y) <= 1
    assert visitor.mask()[RIGHT.y, RIGHT.x]
    assert visitor.part("stage").bounding_box() == stage  # it has not moved under the pointer


def test_a_click_on_one_photo_on_its_way_is_not_for_the_next(visitor, photo, tmp_path):
    held = []
    visitor.page.route("**/queue/join*", lambda route: held.append(route))
    visitor.choose_file(photo)
    visitor.wait_for("() => !document.querySelector('[data-part=incoming]').hidden")
    visitor.part("incoming").click()
    draw(307, 203, [RIGHT]).save(tmp_path / "other.png")
    with visitor.opened():
        visitor.choose_file(tmp_path / "other.png")
        visitor.wait_for("() => document.querySelector('[data-part=incoming]').width === 307")
        wait_for_held(visitor, held, 2)
        for route in held:
            route.continue_()
    visitor.page.wait_for_timeout(500)
    assert visitor.histories() == []


def test_escape_gives_up_the_photo_on_its_way_and_keeps_the_one_at_work(at_work, tmp_path):
    at_work.click(LEFT.centre)
    mask = at_work.mask()
    draw(307, 203, [RIGHT]).save(tmp_path / "other.png")
    held = []
    at_work.page.route("**/queue/join*", lambda route: held.append(route))
    at_work.page.locator("input[data-part=file]").set_input_files(tmp_path / "other.png")
    at_work.page.wait_for_selector(".sam[data-state=opening]")
    for command in ("undo", "clear", "mask", "cutout"):
        assert at_work.button(command).is_disabled()
    wait_for_held(at_work, held, 1)
    at_work.page.keyboard.press("Escape")
    at_work.page.wait_for_selector(".sam[data-state=ready]")
    held[0].continue_()
    at_work.page.wait_for_timeout(4000)
    assert at_work.count("ready") == 1
    assert at_work.part("photo").evaluate("(canvas) => canvas.width") == 300
    assert (at_work.mask() == mask).all()
    assert at_work.button("mask").is_enabled()


def test_leaving_things_out_alone_asks_nothing_until_the_thing_is_clicked(at_work):
    at_work.press((20, 20), "right")
    at_work.page.wait_for_timeout(300)
    assert at_work.histories() == []
    assert "the thing itself" in at_work.text("hint")
    at_work.click(LEFT.centre)
    assert [step["label"] for step in at_work.histories()[-1]] == [0, 1]


@pytest.mark.parametrize("end", [(150, 41), (31, 160)])
def test_a_drag_as_thin_as_a_line_is_no_box(at_work, end):
    at_work.page.mouse.move(*at_work.place(30, 40))
    at_work.page.mouse.down()
    x, y = at_work.place(*end)
    start_x, start_y = at_work.place(30, 40)
    thin = (x, start_y + 2) if end[1] == 41 else (start_x + 2, y)
    at_work.page.mouse.move(*thin, steps=4)
    at_work.page.mouse.up()
    at_work.page.wait_for_timeout(300)
    assert at_work.histories() == []
    assert at_work.button("undo").is_disabled()


def test_escape_during_a_drag_ends_the_drag_and_keeps_the_clicks(at_work):
    at_work.click(LEFT.centre)
    at_work.page.mouse.move(*at_work.place(30, 40))
    at_work.page.mouse.down()
    at_work.page.mouse.move(*at_work.place(150, 160), steps=4)
    at_work.page.keyboard.press("Escape")
    at_work.page.mouse.up()
    at_work.page.wait_for_timeout(300)
    assert len(at_work.histories()) == 1
    assert at_work.button("clear").is_enabled()


def test_the_65th_point_is_refused_and_the_others_stay(at_work):
    at_work.click(LEFT.centre)
    for index in range(63):
        at_work.press((10 + 4 * index, 10 + index))
    at_work.press((200, 100))
    assert "64 points" in at_work.alert()
    at_work.page.keyboard.press("Escape")  # the message first
    assert at_work.alert() == ""
    at_work.wait_for(
        "() => { const d = document.querySelector('.sam').dataset; return d.asked === d.shown; }"
    )
    assert max(len(history) for history in at_work.histories()) <= 64
