"""Small objects: zoomed in, a click is answered from the part of the photo that shows."""

from itertools import count
from unittest.mock import ANY

import numpy as np
import pytest
from PIL import Image

from tests.browser.driver import SERVER_CALLS
from tests.browser.object_list import coco_masks, press_next, save_all
from tests.browser.test_zoom import zoom_to
from tests.serving import RED, YELLOW, Disc, draw, iou

WIDTH, HEIGHT = 1500, 1000
SMALL, BESIDE = Disc(1100, 300, 9), Disc(1160, 330, 9, YELLOW)
SAVED_MS = 400
NUMBERS = count()


@pytest.fixture
def demo(empty_demo, tmp_path):
    """A tab of its own with a large photo of two small discs, zoomed in on them."""
    photo = draw(WIDTH, HEIGHT, [SMALL, BESIDE])
    photo.putpixel((0, 0), (next(NUMBERS), 0, 0))  # the server has crops of no other test
    photo.save(tmp_path / "small.png")
    empty_demo.open(tmp_path / "small.png")
    empty_demo.wait_for_model()
    empty_demo.fill_stage()
    zoom_to(empty_demo, 4, SMALL.centre)
    return empty_demo


def click_on(demo, colour):
    place, _ = demo.find(colour)
    with demo.answered():
        demo.page.mouse.click(*place)


def exported(demo):
    (mask,) = coco_masks(save_all(demo, "coco_rle")[1]).values()
    return mask


def test_a_click_zoomed_in_is_answered_from_the_visible_part_and_can_be_undone(demo):
    click_on(demo, RED)
    crop, point = demo.interactions()[-1]
    assert (crop["type"], point["type"]) == ("crop", "point")
    x0, y0, x1, y1 = crop["box"]
    assert x0 <= SMALL.x - SMALL.radius
    assert SMALL.x + SMALL.radius <= x1
    assert y0 <= SMALL.y - SMALL.radius
    assert SMALL.y + SMALL.radius <= y1
    assert 250 <= x1 - x0 <= 640
    assert list(crop["box"]) in [query["crop"] for query in demo.sent("encode_crop")]
    assert demo.alert() == ""
    expected = SMALL.mask((HEIGHT, WIDTH))
    shown = np.array(Image.fromarray(demo.mask()).resize((WIDTH, HEIGHT)))
    assert iou(shown, expected) > 0.6
    press_next(demo)
    assert iou(exported(demo), expected) > 0.8
    click_on(demo, YELLOW)
    assert demo.interactions()[-1][0]["box"] == crop["box"]
    demo.do("undo")
    assert not demo.mask().any()
    assert demo.count("objects") == 1


def test_a_reload_keeps_the_mask_of_a_crop_and_a_further_click_refines_it_there(demo):
    click_on(demo, RED)
    before = exported(demo)
    log = demo.interactions()[-1]
    demo.page.wait_for_timeout(SAVED_MS)
    demo.reload()
    demo.wait_for_more("ready", 0)
    demo.wait_for_more("shown", 0)
    assert demo.interactions()[-1] == log
    assert demo.mask().any()
    assert np.array_equal(exported(demo), before)
    zoom_to(demo, 4, SMALL.centre)
    place, _ = demo.find(YELLOW)
    with demo.answered():
        demo.page.mouse.click(*place, button="right")
    assert [step["type"] for step in demo.interactions()[-1]] == ["crop", "point", "point"]
    assert iou(exported(demo), SMALL.mask((HEIGHT, WIDTH))) > 0.8


def test_if_the_part_cannot_be_encoded_the_click_is_answered_from_the_whole_photo(demo, tmp_path):
    def refuse(route):
        if route.request.post_data_json["fn_name"] != "encode_crop":
            return route.fallback()
        return route.fulfill(json={"ok": False, "error": "The server is busy."})

    draw(WIDTH, HEIGHT, [SMALL]).save(tmp_path / "single.png")
    demo.open(tmp_path / "single.png")
    demo.page.route(SERVER_CALLS, refuse)
    zoom_to(demo, 4, SMALL.centre)
    click_on(demo, RED)
    demo.wait_settled()
    assert demo.sent("encode_crop")
    assert demo.interactions()[-1] == [{"type": "point", "x": ANY, "y": ANY, "label": 1}]
    assert demo.alert() == ""
    assert demo.count("failed") == 0
    assert demo.count("objects") == 1
