"""What a demo can do while a photo is on its way, and which gestures ask for nothing."""

import pytest

from tests.browser.driver import wait_for_held
from tests.serving import LEFT, RIGHT, Disc, draw


def test_a_second_photo_chosen_while_one_is_encoded_takes_its_place(demo, tmp_path):
    """The newer photo waits its turn in the queue; the older one's answer is dropped."""
    sizes = (301, 302)
    for width in sizes:
        draw(width, 200, [Disc(width - 60, 50, 30)]).save(tmp_path / f"{width}.png")
    demo.page.locator("input[data-part=file]").set_input_files(tmp_path / "301.png")
    demo.page.wait_for_selector(".sam[data-state=opening]")
    demo.page.locator("input[data-part=file]").set_input_files(tmp_path / "302.png")
    demo.page.wait_for_selector(".sam[data-state=ready]")
    assert demo.part("photo").evaluate("(canvas) => canvas.width") == 302
    demo.page.wait_for_timeout(1500)
    assert demo.count("ready") == 1
    assert demo.alert() == ""


def test_a_click_on_a_photo_that_is_still_on_its_way_is_answered_when_it_has_come(demo, photo):
    held = []
    demo.page.route("**/queue/join*", lambda route: held.append(route))
    demo.choose_file(photo)
    demo.wait_for("() => !document.querySelector('[data-part=incoming]').hidden")
    stage = demo.part("stage").bounding_box()
    box = demo.part("incoming").bounding_box()
    scale = min(box["width"] / 300, box["height"] / 200)
    left = box["x"] + (box["width"] - 300 * scale) / 2
    top = box["y"] + (box["height"] - 200 * scale) / 2
    for disc in (LEFT, RIGHT):  # the newest is meant
        demo.page.mouse.click(left + disc.x * scale, top + disc.y * scale)
    with demo.answered():
        wait_for_held(demo, held, 1)
        held[0].continue_()
    ((point,),) = demo.interactions()
    assert (point["type"], point["label"]) == ("point", 1)
    assert abs(point["x"] - RIGHT.x) <= 1
    assert abs(point["y"] - RIGHT.y) <= 1
    assert demo.mask()[RIGHT.y, RIGHT.x]
    assert demo.part("stage").bounding_box() == stage  # it has not moved under the pointer


def test_a_click_on_one_photo_on_its_way_is_not_for_the_next(demo, photo, tmp_path):
    held = []
    demo.page.route("**/queue/join*", lambda route: held.append(route))
    demo.choose_file(photo)
    demo.wait_for("() => !document.querySelector('[data-part=incoming]').hidden")
    demo.part("incoming").click()
    draw(307, 203, [RIGHT]).save(tmp_path / "other.png")
    with demo.opened():
        demo.choose_file(tmp_path / "other.png")
        demo.wait_for("() => document.querySelector('[data-part=incoming]').width === 307")
        wait_for_held(demo, held, 2)
        for route in held:
            route.continue_()
    demo.page.wait_for_timeout(500)
    assert demo.interactions() == []


def test_escape_gives_up_the_photo_on_its_way_and_keeps_the_one_at_work(demo, tmp_path):
    demo.click(LEFT.centre)
    mask = demo.mask()
    draw(307, 203, [RIGHT]).save(tmp_path / "other.png")
    held = []
    demo.page.route("**/queue/join*", lambda route: held.append(route))
    demo.page.locator("input[data-part=file]").set_input_files(tmp_path / "other.png")
    demo.page.wait_for_selector(".sam[data-state=opening]")
    for command in ("undo", "clear", "mask", "cutout"):
        assert demo.button(command).is_disabled()
    wait_for_held(demo, held, 1)
    demo.page.keyboard.press("Escape")
    demo.page.wait_for_selector(".sam[data-state=ready]")
    held[0].continue_()
    demo.page.wait_for_timeout(4000)
    assert demo.count("ready") == 1
    assert demo.part("photo").evaluate("(canvas) => canvas.width") == 300
    assert (demo.mask() == mask).all()
    assert demo.button("mask").is_enabled()


def test_leaving_things_out_alone_asks_nothing_until_the_thing_is_clicked(demo):
    demo.press((20, 20), "right")
    demo.page.wait_for_timeout(300)
    assert demo.interactions() == []
    assert "the thing itself" in demo.text("hint")
    demo.click(LEFT.centre)
    assert [step["label"] for step in demo.interactions()[-1]] == [0, 1]


@pytest.mark.parametrize("end", [(150, 41), (31, 160)])
def test_a_drag_as_thin_as_a_line_is_no_box(demo, end):
    demo.page.mouse.move(*demo.place(30, 40))
    demo.page.mouse.down()
    x, y = demo.place(*end)
    start_x, start_y = demo.place(30, 40)
    thin = (x, start_y + 2) if end[1] == 41 else (start_x + 2, y)
    demo.page.mouse.move(*thin, steps=4)
    demo.page.mouse.up()
    demo.page.wait_for_timeout(300)
    assert demo.interactions() == []
    assert demo.button("undo").is_disabled()


def test_escape_during_a_drag_ends_the_drag_and_keeps_the_clicks(demo):
    demo.click(LEFT.centre)
    demo.page.mouse.move(*demo.place(30, 40))
    demo.page.mouse.down()
    demo.page.mouse.move(*demo.place(150, 160), steps=4)
    demo.page.keyboard.press("Escape")
    demo.page.mouse.up()
    demo.page.wait_for_timeout(300)
    assert len(demo.interactions()) == 1
    assert demo.button("clear").is_enabled()


def test_the_65th_point_is_refused_and_the_others_stay(demo):
    demo.click(LEFT.centre)
    for index in range(63):
        demo.press((10 + 4 * index, 10 + index))
    demo.press((200, 100))
    assert "64 points" in demo.alert()
    demo.page.keyboard.press("Escape")  # the message first
    assert demo.alert() == ""
    demo.wait_for(
        "() => { const d = document.querySelector('.sam').dataset; return d.asked === d.shown; }"
    )
    assert max(len(history) for history in demo.interactions()) <= 64
