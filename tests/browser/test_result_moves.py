"""The result: the object is moved and scaled on another background."""

import numpy as np
import pytest
from PIL import Image

from tests.browser.result_view import (
    HEIGHT,
    LARGE,
    WIDTH,
    on,
    pull,
    red_centre,
    save,
    show_result,
    wait_full,
)
from tests.serving import BLUE, LEFT, draw

TURN_4_TIMES = """(view) => {
  const {x, y} = view.getBoundingClientRect();
  const turn = {clientX: x + 40, clientY: y + 40, deltaY: -60, bubbles: true, cancelable: true};
  for (let count = 0; count < 4; count++) view.dispatchEvent(new WheelEvent('wheel', turn));
}"""


def test_the_object_moves_and_scales_on_another_background(result):
    result.do("result-edges")
    on(result, "#ffffff")
    wait_full(result)
    box = result.part("result-view").bounding_box()
    scale = box["width"] / WIDTH
    x, y = box["x"] + LARGE.x * scale, box["y"] + LARGE.y * scale
    result.page.mouse.move(x, y)
    result.page.mouse.down()
    result.page.mouse.move(x + 500 * scale, y, steps=5)
    result.page.mouse.up()
    moved = save(result)[1]
    rows, columns = np.nonzero(moved[..., 1] < 200)
    assert abs(columns.mean() - 1000) < 5
    assert abs(rows.mean() - LARGE.y) < 5
    before = np.ptp(columns)
    result.part("result-size").fill("50")
    rows, columns = np.nonzero(save(result)[1][..., 1] < 200)
    assert abs(np.ptp(columns) / before - 0.5) < 0.02
    assert abs(columns.mean() - 1000) < 5
    result.page.mouse.move(x, y)
    result.page.mouse.wheel(0, -120)
    result.wait_for("() => document.querySelector('[data-part=result-size]').value === '64'")
    result.part("result-view").focus()
    result.page.keyboard.press("Shift+ArrowLeft")
    columns = np.nonzero(save(result)[1][..., 1] < 200)[1]
    assert abs(columns.mean() - 830) < 5
    on(result, "none")  # where it was in the photo
    assert save(result)[1][LARGE.y, LARGE.x - 290, 3] == 255


def test_moves_are_undone_and_done_again_and_the_mask_stays(result):
    on(result, "#ffffff")
    interactions = result.interactions()[-1]
    pull(result, 300, 0)
    pull(result, 0, 100)
    result.part("result-size").fill("50")
    places = [red_centre(result)]
    for keys in ["Control+z"] * 3 + ["Control+Shift+z", "Control+y"]:
        result.page.keyboard.press(keys)
        places.append(red_centre(result))
    wanted = [(800, 550), (800, 550), (800, 450), (500, 450), (800, 450), (800, 550)]
    for place, goal in zip(places, wanted, strict=True):
        assert place == pytest.approx(goal, abs=6)
    assert result.part("result-size").input_value() == "100"
    for _ in range(3):
        result.page.keyboard.press("Control+z")
    result.page.keyboard.press("Control+z")  # there is nothing left to undo in this view
    assert result.data("view") == "result"
    assert red_centre(result) == pytest.approx(LARGE.centre, abs=6)
    result.page.keyboard.press("Escape")
    assert result.interactions()[-1] == interactions
    result.page.keyboard.press("Control+z")
    assert not result.mask().any()


def test_a_drag_and_turns_of_the_wheel_are_one_step_each(result):
    on(result, "#000000")
    size = result.part("result-size")
    result.part("result-view").evaluate(TURN_4_TIMES)  # within the pause, however busy the machine
    assert size.input_value() == "162"
    result.page.keyboard.press("Control+z")
    assert size.input_value() == "100"


def test_another_photo_has_another_background_picture_and_the_object_in_its_place(result, tmp_path):
    Image.new("RGB", (40, 40), BLUE).save(tmp_path / "blue.png")
    result.part("result-file").set_input_files(tmp_path / "blue.png")
    result.page.wait_for_selector("[data-background=picture][aria-pressed=true]")
    pull(result, 300, 50)
    draw(WIDTH, HEIGHT, [LARGE]).save(tmp_path / "one disc.png")
    result.open(tmp_path / "one disc.png")
    result.click(LARGE.centre)
    show_result(result)
    assert result.page.locator("[data-background=none][aria-pressed=true]").is_visible()
    on(result, "#ffffff")
    assert red_centre(result) == pytest.approx(LARGE.centre, abs=6)
    result.page.keyboard.press("Control+z")
    assert result.data("view") == "result"


def test_the_size_can_be_changed_only_where_the_object_can_be_moved(result):
    size = result.part("result-size")
    assert size.is_disabled()
    box = size.bounding_box()
    on(result, "#ffffff")
    assert size.is_enabled()
    assert size.bounding_box() == box
    view = result.part("result-view").bounding_box()
    assert box["y"] >= view["y"] + view["height"]


def test_two_fingers_scale_the_object_and_one_moves_it(phone):
    phone.click(LEFT.centre)
    phone.page.locator("[data-do=view-result]:visible").first.tap()
    wait_full(phone)
    phone.page.locator("[data-background='#000000']").tap()
    box = phone.part("result-view").bounding_box()
    session = phone.page.context.new_cdp_session(phone.page)

    def touch(kind, *points):
        places = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch("touchStart", (x - 20, y), (x + 20, y))
    touch("touchMove", (x - 40, y), (x + 40, y))
    touch("touchEnd")
    phone.wait_for("() => document.querySelector('[data-part=result-size]').value === '200'")
    touch("touchStart", (x, y))
    touch("touchMove", (x, y - 0.25 * box["height"]))
    touch("touchEnd")
    phone.settle()
    rows = np.nonzero(phone.pixels("result-after")[..., 0] > 150)[0]
    assert rows.max() < 170  # of 200, where its lower edge was at 200


def test_a_move_by_a_finger_is_undone_by_a_button(phone):
    phone.click(LEFT.centre)
    phone.page.locator("[data-do=view-result]:visible").first.tap()
    wait_full(phone)
    undo = phone.page.locator(".sam-history [data-do=undo]")
    assert undo.is_disabled()
    phone.page.locator("[data-background='#000000']").tap()
    phone.part("result-size").fill("200")
    undo.tap()
    assert phone.part("result-size").input_value() == "100"
    assert undo.is_disabled()
    assert phone.data("view") == "result"
