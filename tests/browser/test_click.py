"""A photo, a gesture, a mask: what the page sends and what it paints."""

import numpy as np
import pytest

from tests.serving import LEFT, RIGHT, iou


def disc_mask(disc, shape=(200, 300)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (x - disc.x) ** 2 + (y - disc.y) ** 2 <= disc.radius**2


def test_a_click_paints_the_mask_of_the_thing_under_it(at_work):
    at_work.click(LEFT.centre)
    mask = at_work.mask()
    assert mask.shape == (200, 300)
    assert mask[LEFT.y, LEFT.x]
    assert not mask[RIGHT.y, RIGHT.x]
    assert iou(mask, disc_mask(LEFT)) > 0.9


def test_the_page_tells_what_a_photo_and_a_mask_cost_and_which_weights_it_runs(at_work):
    assert at_work.text("decode-cost") == "no click yet"
    at_work.click(RIGHT.centre)
    assert at_work.text("encode-cost").startswith(("encoded in", "from cache"))
    assert at_work.text("decode-cost").endswith(" ms")
    assert "predicted IoU" in at_work.text("verdict")
    assert at_work.text("weights") == "bundled"
    assert "without a network" in at_work.text("weights-note")
    assert "bundled weights" in at_work.text("about")


def test_the_second_visitor_of_a_photo_gets_its_embedding_from_the_cache(at_work, visit, photo):
    other = visit()
    other.open(photo)
    assert other.text("encode-cost") == "from cache"
    other.click(LEFT.centre)
    assert other.mask()[LEFT.y, LEFT.x]


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
def test_left_is_positive_and_right_shift_and_alt_are_negative(at_work, button, modifier, label):
    at_work.click(LEFT.centre)
    at_work.click(RIGHT.centre, button, modifier)
    assert at_work.histories()[-1] == [
        {"type": "point", "x": LEFT.x, "y": LEFT.y, "label": 1},
        {"type": "point", "x": RIGHT.x, "y": RIGHT.y, "label": label},
    ]


def test_the_middle_button_asks_nothing(at_work):
    at_work.press(LEFT.centre, "middle")
    at_work.click(RIGHT.centre)
    assert [len(history) for history in at_work.histories()] == [1]


@pytest.mark.parametrize("edge", [(0, 100), (299, 100), (150, 0), (150, 199)])
def test_a_click_on_the_last_pixel_of_an_edge_is_that_pixel(at_work, edge):
    at_work.click(edge)
    assert at_work.histories()[-1] == [{"type": "point", "x": edge[0], "y": edge[1], "label": 1}]
    assert at_work.alert() == ""


def test_a_trembling_hand_still_clicks(at_work):
    x, y = at_work.place(*LEFT.centre)
    with at_work.answered():
        at_work.page.mouse.move(x, y)
        at_work.page.mouse.down()
        at_work.page.mouse.move(x + 2, y + 2)
        at_work.page.mouse.up()
    assert [step["type"] for step in at_work.histories()[-1]] == ["point"]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ((30, 40), (150, 160)),
        ((150, 160), (30, 40)),
        ((150, 40), (30, 160)),
        ((30, 160), (150, 40)),
    ],
)
def test_a_drag_from_any_corner_gives_the_same_box(at_work, start, end):
    at_work.drag(start, end)
    (step,) = at_work.histories()[-1]
    assert step["type"] == "box"
    x0, y0, x1, y1 = step["box"]
    # The drag ends in the middle of a pixel: the box takes in the pixels at both its ends.
    assert (x0, y0, x1, y1) == (30, 40, 151, 161)
    assert iou(at_work.mask(), disc_mask(LEFT)) > 0.8


def test_a_drag_past_the_edge_is_a_box_that_ends_there(at_work):
    at_work.drag((150, 160), (-60, -40))
    (step,) = at_work.histories()[-1]
    assert step["box"] == [0, 0, 151, 161]
    assert at_work.mask().any()
    at_work.do("clear")
    at_work.drag((180, 30), (340, 240))
    (step,) = at_work.histories()[-1]
    assert step["box"] == [180, 30, 300, 200]
    assert at_work.mask().any()


def test_markers_are_drawn_over_the_photo_and_never_into_it(at_work):
    before = at_work.pixels("photo")
    assert at_work.marks() == 0
    at_work.click(LEFT.centre)
    at_work.drag((180, 30), (260, 110))
    assert at_work.marks() > 0
    assert np.array_equal(at_work.pixels("photo"), before)
