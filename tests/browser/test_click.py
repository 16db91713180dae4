"""A photo, a click or a drag, a mask: what the page sends and what it paints."""

import numpy as np
import pytest

from tests.serving import LEFT, RIGHT, iou


def test_a_click_paints_the_mask_of_the_object_under_it(demo):
    demo.click(LEFT.centre)
    mask = demo.mask()
    assert mask.shape == (200, 300)
    assert mask[LEFT.y, LEFT.x]
    assert not mask[RIGHT.y, RIGHT.x]
    assert iou(mask, LEFT.mask()) > 0.9


def test_the_page_shows_how_long_photo_and_mask_took_and_which_weights_are_used(demo):
    assert demo.part("decode-cost").text_content() == "no click yet"
    demo.click(RIGHT.centre)
    demo.part("model-info").click()
    assert demo.text("encode-cost").startswith(("encoded in", "from cache"))
    assert demo.text("decode-cost").endswith(" ms")
    assert "Quality" in demo.text("verdict")
    assert demo.text("weights") == "bundled"
    assert "without a network" in demo.text("weights-note")
    assert "bundled weights" in demo.text("model-info")


def test_a_photo_that_another_user_has_opened_comes_from_the_cache(demo, empty_demo, photo):
    empty_demo.open(photo)
    assert empty_demo.part("encode-cost").text_content() == "from cache"
    empty_demo.click(LEFT.centre)
    assert empty_demo.mask()[LEFT.y, LEFT.x]


@pytest.mark.parametrize(
    ("button", "modifier", "label"),
    [
        ("left", None, 1),
        ("right", None, 0),
        ("left", "Shift", 0),
        ("left", "Alt", 0),
        ("left", "Control", 1),
    ],
)
def test_left_is_positive_and_right_shift_and_alt_are_negative(demo, button, modifier, label):
    demo.click(LEFT.centre)
    demo.click(RIGHT.centre, button, modifier)
    assert demo.interactions()[-1] == [
        {"type": "point", "x": LEFT.x, "y": LEFT.y, "label": 1},
        {"type": "point", "x": RIGHT.x, "y": RIGHT.y, "label": label},
    ]


def test_the_middle_button_sends_no_request(demo):
    demo.press(LEFT.centre, "middle")
    demo.click(RIGHT.centre)
    assert [len(sent) for sent in demo.interactions()] == [1]


def test_a_click_on_the_last_pixel_of_an_edge_is_that_pixel(demo):
    for x, y in ((0, 100), (299, 100), (150, 0), (150, 199)):
        demo.click((x, y))
        assert demo.interactions()[-1][-1] == {"type": "point", "x": x, "y": y, "label": 1}
    assert demo.alert() == ""


def test_a_drag_of_two_pixels_is_a_click(demo):
    x, y = demo.place(*LEFT.centre)
    with demo.answered():
        demo.page.mouse.move(x, y)
        demo.page.mouse.down()
        demo.page.mouse.move(x + 2, y + 2)
        demo.page.mouse.up()
    assert [sent["type"] for sent in demo.interactions()[-1]] == ["point"]


def test_a_drag_from_any_corner_gives_the_same_box(demo):
    for start, end in (
        ((30, 40), (150, 160)),
        ((150, 160), (30, 40)),
        ((150, 40), (30, 160)),
        ((30, 160), (150, 40)),
    ):
        demo.drag(start, end)
        # The drag ends in the middle of a pixel: the box includes the pixels at both its ends.
        assert demo.interactions()[-1] == [{"type": "box", "box": [30, 40, 151, 161]}]
        assert iou(demo.mask(), LEFT.mask()) > 0.8
        demo.do("clear")


def test_a_drag_past_the_edge_is_a_box_that_ends_there(demo):
    demo.drag((150, 160), (-60, -40))
    assert demo.interactions()[-1] == [{"type": "box", "box": [0, 0, 151, 161]}]
    assert demo.mask().any()
    demo.do("clear")
    demo.drag((180, 30), (340, 240))
    assert demo.interactions()[-1] == [{"type": "box", "box": [180, 30, 300, 200]}]
    assert demo.mask().any()


def test_markers_are_drawn_over_the_photo_and_never_into_it(demo):
    before = demo.pixels("photo")
    assert demo.marks() == 0
    demo.click(LEFT.centre)
    demo.drag((180, 30), (260, 110))
    assert demo.marks() > 0
    assert np.array_equal(demo.pixels("photo"), before)
