"""On a phone: taps, the switch for what a tap does, and boxes by a finger."""

import pytest

from tests.serving import LEFT, RIGHT, draw


class Fingers:
    """Touches as input of the browser, so that it may scroll and recognise gestures."""

    def __init__(self, demo):
        self._session = demo.page.context.new_cdp_session(demo.page)

    def send(self, kind, *points):
        touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def drag(self, start, end, steps=6):
        self.send("touchStart", start)
        for step in range(1, steps + 1):
            self.send(
                "touchMove",
                *[tuple(a + (b - a) * step / steps for a, b in zip(start, end, strict=True))],
            )
        self.send("touchEnd")


def tap(demo, xy):
    with demo.answered():
        demo.page.touchscreen.tap(*demo.place(*xy))


def test_a_tap_adds_and_after_the_switch_it_removes(phone):
    tap(phone, LEFT.centre)
    phone.page.locator("[data-do=tap-remove]").tap()
    tap(phone, RIGHT.centre)
    phone.page.locator("[data-do=tap-add]").tap()
    tap(phone, (100, 120))
    assert [step["label"] for step in phone.interactions()[-1]] == [1, 0, 1]
    for step, (x, y) in zip(
        phone.interactions()[-1], [LEFT.centre, RIGHT.centre, (100, 120)], strict=True
    ):
        assert (step["x"], step["y"]) == (x, y)
    assert phone.mask()[LEFT.y, LEFT.x]
    assert not phone.mask()[RIGHT.y, RIGHT.x]


def test_after_an_object_was_kept_a_tap_adds_again(phone):
    tap(phone, LEFT.centre)
    phone.page.locator("[data-do=tap-remove]").tap()
    phone.page.touchscreen.tap(*phone.place(20, 20))
    phone.wait_settled()
    phone.page.locator("[data-do=next]:visible").first.tap()
    tap(phone, RIGHT.centre)
    assert [step["label"] for step in phone.interactions()[-1]] == [1]
    assert phone.mask()[RIGHT.y, RIGHT.x]


def test_the_switch_shows_what_a_tap_does(phone):
    adds, removes = (phone.page.locator(f"[data-do=tap-{way}]") for way in ("add", "remove"))
    assert adds.get_attribute("aria-pressed") == "true"
    removes.tap()
    assert adds.get_attribute("aria-pressed") == "false"
    assert removes.get_attribute("aria-pressed") == "true"


def test_a_finger_drags_a_box_and_the_page_does_not_scroll(phone):
    scrolled = phone.page.evaluate("() => window.scrollY")
    with phone.answered():
        Fingers(phone).drag(phone.place(150, 160), phone.place(30, 40))
    (step,) = phone.interactions()[-1]
    assert step["type"] == "box"
    for value, wanted in zip(step["box"], (30, 40, 151, 161), strict=True):
        assert abs(value - wanted) <= 1
    assert phone.mask()[LEFT.y, LEFT.x]
    assert phone.page.evaluate("() => window.scrollY") == scrolled


def test_two_fingers_are_neither_a_box_nor_a_click(phone):
    fingers = Fingers(phone)
    a, b = phone.place(80, 80), phone.place(160, 120)
    fingers.send("touchStart", a)
    fingers.send("touchStart", a, b)
    fingers.send("touchMove", (a[0] - 30, a[1]), (b[0] + 30, b[1]))
    fingers.send("touchEnd")
    phone.settle()
    assert phone.interactions() == []
    assert phone.button("undo").is_disabled()
    phone.page.locator(".sam-small [data-do=sheet]").first.tap()
    phone.page.locator(".sam-sheet [data-do=zoom-fit]").tap()
    tap(phone, LEFT.centre)
    assert [step["type"] for step in phone.interactions()[-1]] == ["point"]


def test_a_second_finger_cancels_the_box_that_the_first_has_begun(phone):
    fingers = Fingers(phone)
    a, b, c = phone.place(30, 40), phone.place(150, 160), phone.place(200, 60)
    fingers.send("touchStart", a)
    fingers.send("touchMove", b)
    assert phone.marks() > 0
    fingers.send("touchStart", b, c)
    assert phone.marks() == 0
    fingers.send("touchEnd", b)
    fingers.send("touchMove", a)
    fingers.send("touchEnd")
    phone.settle()
    assert phone.interactions() == []
    assert phone.button("undo").is_disabled()


def test_two_fingers_zoom_and_move_the_photo_between_them(phone, tmp_path):
    photo = draw(discs=[LEFT])
    photo.putpixel((211, 87), (255, 255, 255))
    photo.save(tmp_path / "speck.png")
    phone.open(tmp_path / "speck.png")
    fingers = Fingers(phone)
    x, y = phone.place(211, 87)
    fingers.send("touchStart", (x - 20, y))
    fingers.send("touchStart", (x - 20, y), (x + 20, y))
    for step in range(1, 11):
        moved, apart = 3 * step, 20 + 10 * step
        fingers.send("touchMove", (x - apart - moved, y + step), (x + apart - moved, y + step))
    fingers.send("touchEnd")
    assert phone.zoom() == pytest.approx(6, rel=0.01)
    spot, (width, _) = phone.find((255, 255, 255))
    assert width == pytest.approx(phone.part("photo").bounding_box()["width"] / 300 * 6, abs=1.1)
    assert spot == pytest.approx((x - 30, y + 10), abs=1)
    with phone.answered():
        phone.page.touchscreen.tap(*spot)
    assert phone.interactions()[-1] == [{"type": "point", "x": 211, "y": 87, "label": 1}]


def test_the_page_mentions_taps_and_its_buttons_are_large_enough_for_a_finger(phone):
    assert phone.page.locator("[data-do=tap-remove]").is_visible()
    assert not phone.page.locator(".sam-panel").get_by_text("Right-click").is_visible()
    for button in phone.page.locator(".sam-bar button:visible").all():
        assert button.bounding_box()["height"] >= 44
