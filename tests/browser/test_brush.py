"""The brush: a stroke is part of the mask, immediately on the page and exactly in the file."""

import io
import itertools
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from tests.browser.driver import SERVER_CALLS
from tests.browser.test_touch import Fingers
from tests.browser.test_zoom import zoom_to
from tests.serving import LEFT, RIGHT

ACROSS_PX = 36.6  # of the brush at first, on the screen

_WATCH = """([x, y]) => {
  const canvas = document.querySelector('canvas[data-part=mask]');
  window.seen = [];
  const look = () => {
    const at = [Math.floor(x * canvas.width), Math.floor(y * canvas.height)];
    window.seen.push(canvas.getContext('2d').getImageData(...at, 1, 1).data[3]);
    requestAnimationFrame(look);
  };
  look();
}"""


def stroke(demo, *path, button="left", modifier=None):
    """Draws a line through pixels of the photo, shown at fit, without waiting for the answer."""
    if modifier:
        demo.page.keyboard.down(modifier)
    demo.page.mouse.move(*demo.place(*path[0]))
    demo.page.mouse.down(button=button)
    for place in path[1:]:
        demo.page.mouse.move(*demo.place(*place), steps=5)
    demo.page.mouse.up(button=button)
    if modifier:
        demo.page.keyboard.up(modifier)


def paint(demo, *path, **options):
    with demo.answered():
        stroke(demo, *path, **options)


def file_mask(demo):
    """The mask of the file, (H, W) bool."""
    return np.array(Image.open(io.BytesIO(demo.download("mask")[1]))) == 255


def distance_to(path, height=200, width=300):
    """How far the middle of every pixel is from a line, (H, W)."""
    y, x = np.mgrid[:height, :width] + 0.5
    path = np.array([path[0], *path], float)
    nearest = np.full((height, width), np.inf)
    for (x0, y0), (x1, y1) in itertools.pairwise(path):
        square = (x1 - x0) ** 2 + (y1 - y0) ** 2
        t = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / max(square, 1e-9), 0, 1)
        nearest = np.minimum(nearest, np.hypot(x - x0 - t * (x1 - x0), y - y0 - t * (y1 - y0)))
    return nearest


def agrees(mask, path, radius, slack=1.5):
    """Whether a mask is what a round brush leaves along a line."""
    away = distance_to(path)
    return mask[away < radius - slack].all() and not mask[away > radius + slack].any()


@contextmanager
def no_answers(demo):
    """Holds the server's answers back meanwhile."""
    held = []

    def hold(route):
        held.append(route)

    demo.page.route(SERVER_CALLS, hold)
    yield
    for route in held:
        route.continue_()
    demo.page.unroute(SERVER_CALLS, hold)


@pytest.fixture
def painter(demo):
    """The demo with the brush chosen."""
    # Chromium may miss the first call after it has begun to hold calls; so it begins early.
    demo.page.route(SERVER_CALLS, lambda route: route.continue_())
    demo.do("tool-brush")
    return demo


def test_a_stroke_without_a_click_is_the_mask_and_its_path_has_few_points(painter):
    paint(painter, (60, 170), (200, 170), (240, 120))
    ((step,),) = painter.interactions()
    scale = painter.scale()
    assert step["type"] == "stroke"
    assert step["label"] == 1
    assert abs(step["radius"] - ACROSS_PX / 2 / scale) <= 0.1
    assert np.allclose(step["path"], [(60.5, 170.5), (200.5, 170.5), (240.5, 120.5)], atol=0.3)
    assert agrees(
        file_mask(painter), [(60.5, 170.5), (200.5, 170.5), (240.5, 120.5)], ACROSS_PX / 2 / scale
    )
    assert "predicted" not in painter.text("verdict")


def test_a_click_paints_a_dot(painter):
    paint(painter, RIGHT.centre)
    ((step,),) = painter.interactions()
    assert len(step["path"]) == 1
    assert agrees(file_mask(painter), step["path"], step["radius"])


@pytest.mark.parametrize("way", ["right button", "Shift", "switch"])
def test_the_right_button_shift_and_the_switch_erase(demo, way):
    demo.click(LEFT.centre)
    before = file_mask(demo)
    demo.page.keyboard.press("p")
    if way == "switch":
        demo.do("tap-remove")
    options = {"right button": {"button": "right"}, "Shift": {"modifier": "Shift"}, "switch": {}}
    paint(demo, (90, 70), (90, 130), **options[way])
    click, step = demo.interactions()[-1]
    assert (click["type"], step["type"], step["label"]) == ("point", "stroke", 0)
    after = file_mask(demo)
    away = distance_to(step["path"])
    assert before[LEFT.y, LEFT.x]
    assert not after[away < step["radius"] - 1.5].any()
    far = away > step["radius"] + 1.5
    assert np.array_equal(after[far], before[far])


def test_undo_takes_back_one_stroke_and_redo_restores_it(painter):
    paint(painter, (60, 170), (120, 170))
    paint(painter, (200, 150), (260, 150))
    assert painter.mask()[170, 90]
    assert painter.mask()[150, 230]
    with painter.answered():
        painter.page.keyboard.press("Control+z")
    assert painter.mask()[170, 90]
    assert not painter.pixels("mask")[140:160, 190:270].any()
    with painter.answered():
        painter.page.keyboard.press("Control+Shift+z")
    assert painter.mask()[150, 230]
    with painter.answered():
        painter.page.keyboard.press("Control+z")
    painter.page.keyboard.press("Control+z")
    assert not painter.pixels("mask").any()
    assert painter.button("mask").is_disabled()


def test_a_click_after_a_stroke_keeps_the_stroke(painter):
    paint(painter, (150, 180), (260, 180))
    painter.do("tool-click")
    painter.click(LEFT.centre)
    assert [step["type"] for step in painter.interactions()[-1]] == ["stroke", "point"]
    mask = file_mask(painter)
    assert mask[180, 150:260].all()
    assert mask[LEFT.y, LEFT.x]


def test_a_stroke_zoomed_in_is_in_pixels_of_the_photo(painter):
    painter.fill_stage()
    zoom_to(painter, 3, RIGHT.centre)
    scale = painter.scale()
    x, y = painter.place(*RIGHT.centre)  # the wheel keeps it where it was
    shown = painter.count("shown")
    painter.page.mouse.move(x, y)
    painter.page.mouse.down()
    painter.page.mouse.move(x + 20 * scale, y - 10 * scale, steps=4)
    with no_answers(painter):
        painter.page.mouse.up()
        pixels, (left, top) = painter.seen()
        blue = pixels[int(y - 5 * scale - top), int(x + 10 * scale - left), 2]
        assert blue > 80  # blue lies over what is yellow, red and dark green underneath
    painter.wait_for_more("shown", shown)
    ((step,),) = painter.interactions()
    assert np.allclose(step["path"], [(220.5, 70.5), (240.5, 60.5)], atol=0.3)
    assert abs(step["radius"] - ACROSS_PX / 2 / scale) <= 0.1
    assert agrees(file_mask(painter), step["path"], step["radius"])


def test_a_stroke_shows_while_it_is_drawn_and_never_disappears(painter):
    start, end = (60, 170), (120, 170)
    painter.page.mouse.move(*painter.place(*start))
    painter.page.mouse.down()
    painter.page.mouse.move(*painter.place(*end), steps=5)
    painter.wait_for(
        "() => document.querySelector('canvas[data-part=mask]').getContext('2d')"
        ".getImageData(90 / 300 * document.querySelector('canvas[data-part=mask]').width,"
        "170 / 200 * document.querySelector('canvas[data-part=mask]').height, 1, 1).data[3] > 0"
    )
    assert painter.interactions() == []
    painter.page.evaluate(_WATCH, [90 / 300, 170 / 200])
    shown = painter.data("shown")
    with painter.answered(), no_answers(painter):
        painter.page.mouse.up()
        painter.page.wait_for_timeout(200)
        assert painter.mask()[170, 90]
        assert painter.data("shown") == shown
    painter.page.wait_for_timeout(100)
    seen = painter.page.evaluate("() => window.seen")
    assert len(seen) > 5
    assert set(seen) == {0x6B}


def test_an_eraser_shows_immediately_too(painter):
    paint(painter, (60, 150), (240, 150))
    with no_answers(painter):
        stroke(painter, (150, 120), (150, 180), button="right")
        painter.page.wait_for_timeout(100)
        mask = painter.mask()
    assert not mask[150, 150]
    assert mask[150, 70]


def test_an_eraser_alone_sends_no_request(painter):
    stroke(painter, (60, 150), (240, 150), button="right")
    painter.settle()
    assert painter.interactions() == []
    assert painter.button("undo").is_enabled()


def test_a_stroke_stays_within_the_photo(painter):
    box = painter.part("photo").bounding_box()
    with painter.answered():
        painter.page.mouse.move(*painter.place(250, 150))
        painter.page.mouse.down()
        painter.page.mouse.move(
            box["x"] + box["width"] + 90, box["y"] + box["height"] + 90, steps=6
        )
        painter.page.mouse.up()
    ((step,),) = painter.interactions()
    assert all(0 <= x <= 300 and 0 <= y <= 200 for x, y in step["path"])
    assert painter.alert() == ""


def test_the_keys_and_the_slider_change_the_size_and_the_circle_shows_it(painter):
    painter.page.mouse.move(*painter.place(150, 100))

    def ring():
        painter.page.wait_for_timeout(50)
        columns = painter.pixels("marks")[..., 3].any(axis=0).nonzero()[0]
        return np.ptp(columns) + 1

    assert abs(ring() - ACROSS_PX) <= 5
    painter.page.keyboard.press("]")
    assert abs(ring() - 1.25 * ACROSS_PX) <= 5
    painter.page.keyboard.press("[")
    painter.page.keyboard.press("[")
    assert abs(ring() - ACROSS_PX / 1.25) <= 5
    painter.part("brush").fill("100")
    assert painter.text("brush-size") == "160 px"
    painter.page.keyboard.press("p")
    painter.page.mouse.move(*painter.place(140, 100))
    assert painter.marks() == 0
    assert not painter.part("brush").is_visible()


def test_the_keyboard_alone_paints(painter):
    painter.part("marks").focus()
    painter.page.keyboard.press("Tab")
    painter.page.keyboard.press("Shift+Tab")
    painter.page.keyboard.press("b")
    for _ in range(4):
        painter.page.keyboard.press("Shift+ArrowRight")
    with painter.answered():
        painter.page.keyboard.press("b")
    ((step,),) = painter.interactions()
    assert len(step["path"]) == 2
    assert step["path"][0] == [150.5, 100.5]
    assert painter.mask()[100, 160]


def test_the_201st_interaction_is_refused_with_a_sentence_and_the_others_stay(painter):
    with no_answers(painter):
        with painter.refused():
            x, y = painter.place(20, 150)
            for number in range(201):
                painter.page.mouse.click(x + number, y)
        assert "too many brush strokes" in painter.alert()  # until the next answer
    painter.wait_settled()
    assert len(painter.interactions()[-1]) == 200


def test_a_finger_paints_and_two_fingers_pinch(phone):
    phone.page.locator("[data-do=tool-brush]").tap()
    with phone.answered():
        Fingers(phone).drag(phone.place(60, 170), phone.place(200, 170))
    ((step,),) = phone.interactions()
    assert (step["type"], step["label"]) == ("stroke", 1)
    assert agrees(phone.mask(), [(60.5, 170.5), (200.5, 170.5)], step["radius"])
    removing = phone.page.locator("[data-do=tap-remove]")
    while removing.get_attribute("aria-pressed") == "false":
        removing.tap()  # the browser swallows a tap right after a swipe
        phone.page.wait_for_timeout(100)
    with phone.answered():
        Fingers(phone).drag(phone.place(130, 150), phone.place(130, 190))
    assert [step["label"] for step in phone.interactions()[-1]] == [1, 0]
    assert not phone.mask()[170, 130]
    assert phone.mask()[170, 70]
    shown = phone.pixels("mask")
    (x, y), fingers = phone.place(150, 100), Fingers(phone)
    fingers.send("touchStart", (x - 30, y))
    fingers.send("touchStart", (x - 30, y), (x + 30, y))
    for spread in (40, 60, 80):
        fingers.send("touchMove", (x - spread, y), (x + spread, y))
    fingers.send("touchEnd")
    assert phone.zoom() > 2
    assert len(phone.interactions()[-1]) == 2
    assert np.array_equal(phone.pixels("mask"), shown)
