"""Zoom and pan: the pixel that is clicked is sent, and the photo cannot be lost."""

import numpy as np
import pytest
from PIL import Image

from tests.serving import GROUND, LEFT, RED, RIGHT, draw

SPECK = (211, 37)
WHITE = (255, 255, 255)


def zoom_to(demo, factor, xy):
    """Turns the wheel over a pixel of the photo, shown at fit, until the zoom is large enough."""
    demo.page.mouse.move(*demo.place(*xy))
    demo.page.keyboard.down("Control")
    while demo.zoom() < factor:
        before = demo.zoom()
        demo.page.mouse.wheel(0, -30)
        demo.wait_for("(z) => Number(document.querySelector('.sam').dataset.zoom) > z", before)
    demo.page.keyboard.up("Control")


def drag_by(demo, dx, dy, button="left", key=None):
    box = demo.part("marks").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    demo.page.mouse.move(x, y)
    if key:
        demo.page.keyboard.down(key)
    demo.page.mouse.down(button=button)
    demo.page.mouse.move(x + dx, y + dy, steps=5)
    demo.page.mouse.up(button=button)
    if key:
        demo.page.keyboard.up(key)


def pan_by(demo, dx, dy):
    drag_by(demo, dx, dy, key="Space")


@pytest.fixture
def specked(demo, tmp_path):
    """The demo with a photo that has one white pixel."""
    photo = draw(discs=[LEFT])
    photo.putpixel(SPECK, WHITE)
    photo.save(tmp_path / "speck.png")
    demo.forget()  # a strip of two photos would take some of the room
    demo.open(tmp_path / "speck.png")
    demo.fill_stage()
    return demo


def test_the_pixel_that_is_seen_is_the_pixel_that_is_sent_zoomed_in_and_moved(specked):
    zoom_to(specked, 3, (200, 60))
    pan_by(specked, 60, 80)
    assert specked.interactions() == []
    spot, (width, height) = specked.find(WHITE)
    size = specked.scale()
    assert abs(width - size) <= 1
    assert abs(height - size) <= 1  # a square with sharp edges: the photo is not smoothed
    x, y = spot
    for dx, dy, pixel in [(0, 0, (0, 0)), (0.6, 0, (1, 0)), (0.4, 0.4, (0, 0)), (0, -0.6, (0, -1))]:
        with specked.answered():
            specked.page.mouse.click(x + dx * width, y + dy * height)
        step = specked.interactions()[-1][-1]
        assert (step["x"] - SPECK[0], step["y"] - SPECK[1]) == pixel
        specked.do("clear")  # the next click would hit the marker


def test_a_click_zoomed_in_gives_the_mask_of_the_same_click_at_fit(demo):
    zoom_to(demo, 3, LEFT.centre)
    pan_by(demo, 40, -30)
    spot, _ = demo.find(RED)
    with demo.answered():
        demo.page.mouse.click(*spot)
    (step,) = demo.interactions()[-1]
    mask = demo.mask()
    demo.do("clear")
    demo.do("zoom-fit")
    demo.click((step["x"], step["y"]))
    assert demo.interactions()[-1] == [step]
    assert np.array_equal(demo.mask(), mask)
    assert mask[LEFT.y, LEFT.x]


def test_a_mask_zoomed_in_lies_on_its_object(demo):
    demo.click(RIGHT.centre)
    zoom_to(demo, 2, RIGHT.centre)
    demo.part("marks").evaluate("(canvas) => { canvas.style.opacity = 0; }")
    pixels, _ = demo.seen()
    scale = demo.scale()
    blue = pixels[..., 2] > pixels[..., 0] + 20
    mask = demo.mask()
    rows, columns = mask.nonzero()
    # Its width and height in the photo, as many times larger on the screen.
    for axis, spread in ((0, np.ptp(rows) + 1), (1, np.ptp(columns) + 1)):
        along = blue.any(axis=1 - axis).nonzero()[0]
        assert abs((along[-1] - along[0] + 1) / scale - spread) <= 1
    # The outline is as thin as at fit, not as thick as a pixel of the photo.
    across = blue.any(axis=1).nonzero()[0]
    row = (pixels.min(axis=2) > 150)[(across[0] + across[-1]) // 2]
    edges = np.diff(np.flatnonzero(np.diff(np.r_[0, row.astype(int), 0])))[::2]
    assert len(edges) >= 2
    assert edges.max() <= 4 < scale


def test_a_box_zoomed_in_is_drawn_in_pixels_of_the_photo(specked):
    zoom_to(specked, 3, (211, 45))
    (x, y), _ = specked.find(WHITE)
    scale = specked.scale()
    with specked.answered():
        specked.page.mouse.move(x, y)
        specked.page.mouse.down()
        specked.page.mouse.move(x - 20 * scale, y + 15 * scale, steps=4)
        specked.page.mouse.up()
    (step,) = specked.interactions()[-1]
    assert step["box"] == [SPECK[0] - 20, SPECK[1], SPECK[0] + 1, SPECK[1] + 16]


def test_the_wheel_zooms_towards_the_pointer(specked):
    at = specked.place(*SPECK)
    zoom_to(specked, 2, SPECK)
    spot, (width, _) = specked.find(WHITE)
    assert abs(spot[0] - at[0]) <= 1.5
    assert abs(spot[1] - at[1]) <= 1.5
    scale = specked.scale()
    assert abs(width - scale) <= 1


@pytest.mark.parametrize("way", ["key", "button"])
def test_plus_and_minus_zoom_and_0_shows_the_whole_photo(demo, way):
    def do(key, command):
        if way == "key":
            demo.page.keyboard.press(key)
        else:
            demo.button(command).click(force=True)  # at its limit too

    at_fit = demo.seen()[0]
    do("+", "zoom-in")
    do("+", "zoom-in")
    assert demo.zoom() == 2.25
    assert demo.text("zoom") == "225%"
    assert not np.array_equal(demo.seen()[0], at_fit)
    do("-", "zoom-out")
    assert demo.zoom() == 1.5
    do("0", "zoom-fit")
    assert demo.zoom() == 1
    assert demo.text("zoom") == "100%"
    demo.page.mouse.move(0, 0)
    assert np.array_equal(demo.seen()[0], at_fit)
    do("-", "zoom-out")
    assert demo.zoom() == 1
    for _ in range(12):
        do("+", "zoom-in")
    assert demo.zoom() == 16
    assert demo.button("zoom-in").get_attribute("aria-disabled") == "true"


@pytest.mark.parametrize("way", [(1, 1), (-1, -1)])
def test_the_photo_cannot_be_moved_out_of_sight(demo, tmp_path, way):
    draw(240, 180, [], ground=(200, 40, 160)).save(tmp_path / "plain.png")
    demo.open(tmp_path / "plain.png")
    for _ in range(4):
        demo.page.keyboard.press("+")
    for _ in range(6):
        pan_by(demo, 400 * way[0], 250 * way[1])
    pixels, _ = demo.seen()
    assert (np.abs(pixels - (200, 40, 160)).max(axis=2) <= 2).all()
    box = demo.part("marks").bounding_box()
    corner = [
        box[s] + (2 if to > 0 else box[length] - 2)
        for s, length, to in zip("xy", ("width", "height"), way, strict=True)
    ]
    with demo.answered():
        demo.page.mouse.click(*corner)
    (step,) = demo.interactions()[-1]
    assert (step["x"], step["y"]) == (0 if way[0] > 0 else 239, 0 if way[1] > 0 else 179)


def test_a_photo_narrower_than_the_stage_stays_in_its_middle(demo, tmp_path):
    draw(60, 400, [], ground=(200, 40, 160)).save(tmp_path / "narrow.png")
    demo.open(tmp_path / "narrow.png")
    demo.page.keyboard.press("+")
    pan_by(demo, 300, 0)
    box = demo.part("marks").bounding_box()
    (x, _), (width, _) = demo.find((200, 40, 160), 2)
    assert width < box["width"] / 2
    assert abs(x - box["x"] - box["width"] / 2) <= 1
    demo.page.mouse.click(box["x"] + 10, box["y"] + 50)  # beside the photo
    demo.settle()
    assert demo.button("undo").is_disabled()


def test_the_middle_button_moves_the_photo_and_sends_no_request(specked):
    # Linux pastes the selected text where the middle button is released.
    specked.page.locator("h1").click(click_count=3)
    zoom_to(specked, 2, SPECK)
    before, _ = specked.find(WHITE)
    drag_by(specked, -70, 40, "middle")
    after, _ = specked.find(WHITE)
    assert (after[0] - before[0], after[1] - before[1]) == pytest.approx((-70, 40), abs=1)
    assert specked.alert() == ""
    assert specked.interactions() == []


def test_space_after_a_click_on_a_button_moves_the_photo_and_not_the_button(specked):
    specked.do("zoom-in")
    pan_by(specked, 50, 30)
    assert specked.zoom() == 1.5
    pan_by(specked, 0, 30)
    assert specked.interactions() == []


def test_space_moves_the_photo_where_tab_was_pressed_and_nothing_has_the_focus(demo):
    demo.do("zoom-in")
    demo.page.keyboard.press("Tab")
    demo.page.evaluate("() => document.activeElement.blur()")
    pan_by(demo, 50, 30)
    assert demo.interactions() == []
    assert demo.page.evaluate("() => window.scrollY") == 0


def test_space_presses_the_button_that_was_reached_by_tab_also_with_the_mouse_over_the_photo(demo):
    demo.button("zoom-in").focus()
    demo.page.keyboard.press("Shift+Tab")
    demo.page.keyboard.press("Tab")
    demo.page.mouse.move(*demo.place(*LEFT.centre))
    demo.page.keyboard.press("Space")
    assert demo.zoom() == 1.5


def test_a_larger_photo_than_the_canvas_shows_its_own_pixels(demo, tmp_path):
    photo = Image.new("RGB", (4096, 1024), GROUND)
    photo.putpixel((2000, 500), WHITE)
    photo.save(tmp_path / "large.png")
    demo.open(tmp_path / "large.png")
    zoom_to(demo, 15.9, (2000, 500))
    spot, (width, height) = demo.find(WHITE, 60)
    scale = demo.scale(4096)
    assert max(width, height) <= scale + 2
    asked = demo.count("asked")
    demo.page.mouse.click(*spot)
    demo.wait_for_more("asked", asked)
    crop, step = demo.interactions()[-1]
    assert crop["type"] == "crop"
    assert (step["x"], step["y"]) == (2000, 500)


def test_a_new_photo_is_shown_whole(demo, tmp_path):
    zoom_to(demo, 3, RIGHT.centre)
    draw(200, 300, [RIGHT]).save(tmp_path / "other.png")
    demo.open(tmp_path / "other.png")
    assert demo.zoom() == 1
    demo.click((150, 200))
    (step,) = demo.interactions()[-1]
    assert (step["x"], step["y"]) == (150, 200)


class TestWheel:
    """Scrolling the page does not zoom the photo."""

    @pytest.fixture
    def scrolling(self, demo):
        demo.page.set_viewport_size({"width": 1280, "height": 500})
        demo.settle()
        demo.page.evaluate("() => window.scrollTo(0, 0)")
        demo.page.mouse.move(400, 300)
        return demo

    def roll(self, demo, dy, times=3):
        demo.page.wait_for_timeout(400)
        for _ in range(times):
            demo.page.mouse.wheel(0, dy)
        demo.page.wait_for_timeout(400)
        return demo.page.evaluate("() => window.scrollY"), demo.zoom()

    def test_the_wheel_scrolls_the_page_down_and_up_again(self, scrolling):
        down, z = self.roll(scrolling, 40)
        assert (down, z) == (120, 1)
        assert self.roll(scrolling, -60) == (0, 1)

    def test_the_wheel_at_the_top_of_the_page_zooms_in_and_out_and_then_scrolls(self, scrolling):
        scrolled, z = self.roll(scrolling, -120)
        assert scrolled == 0
        assert z > 1.5
        assert self.roll(scrolling, 120, 6) == (0, 1)
        scrolled, z = self.roll(scrolling, 60)
        assert scrolled > 0
        assert z == 1

    def test_a_scroll_that_begins_beside_the_photo_continues_over_it(self, scrolling):
        scrolling.page.evaluate("() => window.scrollTo(0, 60)")
        scrolling.page.mouse.move(1100, 300)
        for x in (1100, 400, 400, 400, 400):
            scrolling.page.mouse.move(x, 300)
            scrolling.page.mouse.wheel(0, -40)
            scrolling.page.wait_for_timeout(30)
        assert self.roll(scrolling, 0, 0) == (0, 1)

    def test_ctrl_zooms_wherever_the_page_is_scrolled_to(self, scrolling):
        scrolling.page.evaluate("() => window.scrollTo(0, 100)")
        scrolling.page.keyboard.down("Control")
        scrolled, z = self.roll(scrolling, -30)
        assert scrolled == 100
        assert z > 1.5
        assert scrolling.page.evaluate("() => window.devicePixelRatio") == 1
