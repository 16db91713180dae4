"""Everything in the photo: regions that come bit by bit, light up, and are taken up by a click."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.browser.driver import SERVER_CALLS
from tests.serving import LEFT, RIGHT, Disc, draw, iou

POINTS_8 = {"set-points": "8", "set-iou": "0.3", "set-stability": "0.2"}
PAUSE_MS = 1500
BOTTOM = Disc(230, 160, 25, (40, 80, 220))


@pytest.fixture
def at_regions(visitor, tmp_path):
    """A visitor with a photo of three discs, the settings fast and mild."""
    path = tmp_path / "three.png"
    draw(discs=[LEFT, RIGHT, BOTTOM]).save(path)
    visitor.open(path)
    visitor.wait_for("() => document.querySelector('.sam').dataset.model === 'loaded'")
    set_up(visitor)
    return visitor


def set_up(visitor, **settings):
    if not visitor.part("set-points").is_visible():
        visitor.page.locator(".sam-everything summary").click()
    for name, value in {**POINTS_8, **settings}.items():
        field = visitor.part(name)
        field.select_option(value) if name == "set-points" else field.fill(value)


def press(visitor, command):
    visitor.page.locator(f"[data-do={command}]").click()


def wait_phase(visitor, phase):
    visitor.wait_for("(p) => document.querySelector('.sam').dataset.everything === p", phase)


def find(visitor):
    press(visitor, "everything")
    wait_phase(visitor, "finished")


def hover(visitor, xy):
    visitor.page.mouse.move(*visitor.place(*xy))


def everything_calls(visitor):
    return [call["data"] for call in visitor.calls if call["fn_name"] == "everything"]


def disc_mask(disc, shape=(200, 300)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (x - disc.x) ** 2 + (y - disc.y) ** 2 <= disc.radius**2


def test_the_regions_of_a_photo_are_found_with_progress_and_coloured(at_regions):
    at_regions.page.evaluate(
        """() => { window.said = []; new MutationObserver(() => window.said.push(
          document.querySelector('[data-part=regions-status]').textContent)).observe(
          document.querySelector('[data-part=regions-status]'), {childList: true}); }"""
    )
    find(at_regions)
    said = at_regions.page.evaluate("() => window.said")
    assert any(text.split(",")[0].endswith("of 64 points") for text in said)
    assert "regions" in said[-1]
    count = at_regions.count("regions")
    assert count >= 3
    assert f"{count} regions" in at_regions.text("regions-status")
    pixels = at_regions.pixels("marks")
    height, width = pixels.shape[:2]

    def colour(disc):
        return tuple(pixels[disc.y * height // 200, disc.x * width // 300])

    assert len({colour(LEFT), colour(RIGHT), colour(BOTTOM)}) == 3
    assert all(colour(disc)[3] > 0 for disc in (LEFT, RIGHT, BOTTOM))
    assert at_regions.complaints == []


def test_the_settings_begin_with_what_suits_the_weights_and_go_along(at_regions):
    press(at_regions, "everything-defaults")
    assert at_regions.part("set-points").input_value() == "16"
    assert at_regions.part("set-iou").input_value() == "0.4"
    assert at_regions.part("set-stability").input_value() == "0.3"
    set_up(at_regions, **{"set-area": "50"})
    find(at_regions)
    assert everything_calls(at_regions)[0]["options"] == {
        "points_per_side": 8,
        "min_mask_region_area": 50,
        "pred_iou_thresh": 0.3,
        "stability_score_thresh": 0.2,
    }


def test_a_setting_out_of_range_is_answered_by_a_sentence(at_regions):
    set_up(at_regions, **{"set-iou": "7"})
    with at_regions.refused():
        press(at_regions, "everything")
    assert "pred_iou_thresh must be a number from 0 to 1" in at_regions.alert()
    press(at_regions, "dismiss")
    at_regions.click(LEFT.centre)
    assert at_regions.mask()[LEFT.y, LEFT.x]


def test_cancel_asks_no_more_and_what_was_found_stays(at_regions):
    set_up(at_regions, **{"set-points": "32"})
    press(at_regions, "everything")
    at_regions.wait_for("() => Number(document.querySelector('.sam').dataset.regions) > 0")
    assert at_regions.page.locator("[data-do=everything-keep]").is_disabled()
    press(at_regions, "everything-stop")
    wait_phase(at_regions, "stopped")
    assert at_regions.text("regions-status").startswith("Stopped at ")
    at_regions.page.wait_for_timeout(100)
    asked = len(everything_calls(at_regions))
    assert everything_calls(at_regions)[-1]["stop"] is True
    at_regions.page.wait_for_timeout(PAUSE_MS)
    assert len(everything_calls(at_regions)) == asked
    assert at_regions.count("regions") > 0


def test_the_region_under_the_pointer_lights_up_and_the_smallest_wins(at_regions):
    find(at_regions)
    plain = at_regions.pixels("marks")
    hover(at_regions, LEFT.centre)
    left = at_regions.data("lit")
    assert left != "0"
    lit = at_regions.pixels("marks")
    changed = (plain != lit).any(axis=2)
    height, width = changed.shape
    assert changed[LEFT.y * height // 200, LEFT.x * width // 300]
    assert not changed[RIGHT.y * height // 200, RIGHT.x * width // 300]
    hover(at_regions, RIGHT.centre)
    assert at_regions.data("lit") not in ("0", left)
    at_regions.page.mouse.move(2, 2)
    at_regions.wait_for("() => document.querySelector('.sam').dataset.lit === '0'")
    assert np.array_equal(at_regions.pixels("marks"), plain)


def test_a_click_takes_a_region_up_a_click_corrects_it_and_undo_brings_back_what_was(at_regions):
    at_regions.click(RIGHT.centre)
    before = at_regions.pixels("mask")
    find(at_regions)
    assert not at_regions.mask().any()  # gives way to the regions
    at_regions.click(LEFT.centre)
    assert at_regions.data("everything") == "off"
    ((taken,),) = at_regions.histories()[-1:]
    assert taken["type"] == "mask"
    assert taken["rle"]["size"] == [200, 300]
    region = coco_mask.decode(taken["rle"]).astype(bool)
    assert iou(region, disc_mask(LEFT)) > 0.9
    assert iou(at_regions.mask(), region) > 0.97

    at_regions.click(BOTTOM.centre)
    assert at_regions.histories()[-1] == [
        taken,
        {"type": "point", "x": BOTTOM.x, "y": BOTTOM.y, "label": 1},
    ]
    assert not np.array_equal(at_regions.mask(), region)
    for _ in range(2):
        with at_regions.answered():
            at_regions.do("undo")
    assert np.array_equal(at_regions.pixels("mask"), before)
    assert at_regions.histories()[-1][0]["type"] == "point"


def test_all_regions_are_kept_as_objects_at_the_photos_own_size(at_regions):
    find(at_regions)
    count = at_regions.count("regions")
    press(at_regions, "everything-keep")
    at_regions.wait_for(
        "(n) => Number(document.querySelector('.sam').dataset.objects) === n", count
    )
    assert at_regions.data("everything") == "off"
    at_regions.part("format").select_option("coco_rle")
    kept = json.loads(at_regions.download("save-all")[1])["annotations"]
    assert len(kept) == count
    assert all(0.3 <= one["predicted_iou"] <= 1.1 for one in kept)
    masks = [coco_mask.decode(one["segmentation"]) for one in kept]
    for disc in (LEFT, RIGHT, BOTTOM):
        assert max(iou(mask == 1, disc_mask(disc)) for mask in masks) > 0.9
    assert at_regions.text("note-text") == f"{count} objects were kept."
    at_regions.part("note-undo").click()
    assert at_regions.count("objects") == 0


def test_what_was_found_shows_again_without_another_run(at_regions):
    find(at_regions)
    regions = at_regions.count("regions")
    press(at_regions, "everything-done")
    assert at_regions.data("everything") == "off"
    assert at_regions.marks() == 0
    asked = len(everything_calls(at_regions))
    find(at_regions)
    assert at_regions.count("regions") == regions
    assert at_regions.marks() > 0
    assert len(everything_calls(at_regions)) == asked
    set_up(at_regions, **{"set-iou": "0.35"})
    find(at_regions)
    assert len(everything_calls(at_regions)) > asked


def test_leaving_pauses_a_run_and_coming_back_goes_on_with_it(at_regions):
    set_up(at_regions, **{"set-points": "16"})
    press(at_regions, "everything")
    at_regions.wait_for("() => Number(document.querySelector('.sam').dataset.regions) > 0")
    at_regions.page.keyboard.press("Escape")
    assert at_regions.data("everything") == "off"
    at_regions.page.wait_for_timeout(PAUSE_MS)
    asked = len(everything_calls(at_regions))
    at_regions.page.wait_for_timeout(PAUSE_MS)
    assert len(everything_calls(at_regions)) == asked
    find(at_regions)
    calls = everything_calls(at_regions)
    assert [call["run"] for call in calls].count(None) == 1
    assert len(calls) > asked


def test_another_photo_ends_the_mode_and_forgets_the_regions(at_regions, photo):
    find(at_regions)
    at_regions.open(photo)
    assert at_regions.data("everything") == "off"
    assert at_regions.count("regions") == 0
    assert at_regions.marks() == 0
    at_regions.click(LEFT.centre)
    assert at_regions.mask()[LEFT.y, LEFT.x]


def test_a_run_that_the_server_has_forgotten_begins_again_by_itself(at_regions):
    refused = []

    def forget_once(route):
        call = json.loads(route.request.post_data)
        if call["fn_name"] == "everything" and call["data"]["run"] and not refused:
            refused.append(call["data"]["token"])
            route.fulfill(json={"ok": False, "seq": None, "expired": True, "error": "Gone."})
        else:
            route.continue_()

    at_regions.page.route(SERVER_CALLS, forget_once)
    set_up(at_regions, **{"set-points": "16"})
    find(at_regions)
    assert len(refused) == 1
    calls = everything_calls(at_regions)
    assert [call["run"] for call in calls].count(None) == 2
    assert calls[-1]["token"] != refused[0]
    assert at_regions.alert() == ""
    at_regions.click(LEFT.centre)
    assert at_regions.mask()[LEFT.y, LEFT.x]


def test_a_region_that_the_server_has_forgotten_says_what_to_do(at_regions):
    find(at_regions)

    def forget(route):
        if json.loads(route.request.post_data)["fn_name"] == "regions":
            route.fulfill(json={"ok": False, "seq": None, "expired": True, "error": "Gone."})
        else:
            route.continue_()

    at_regions.page.route(SERVER_CALLS, forget)
    with at_regions.refused():
        at_regions.press(LEFT.centre)
    assert "Find everything" in at_regions.alert()
    assert at_regions.data("everything") == "off"
    at_regions.page.unroute(SERVER_CALLS)
    find(at_regions)
    assert at_regions.count("regions") >= 3


def test_a_finger_takes_a_region_up(visit, tmp_path):
    visitor = visit(has_touch=True, viewport={"width": 390, "height": 844})
    path = tmp_path / "three.png"
    draw(discs=[LEFT, RIGHT, BOTTOM]).save(path)
    visitor.open(path)
    set_up(visitor)
    find(visitor)
    visitor.part("photo").scroll_into_view_if_needed()
    with visitor.answered():
        visitor.page.touchscreen.tap(*visitor.place(*RIGHT.centre))
    assert iou(visitor.mask(), disc_mask(RIGHT)) > 0.9


def test_the_keys_find_everything_and_take_a_region_up(at_regions):
    at_regions.page.locator("[data-do=everything]").focus()
    at_regions.page.keyboard.press("Enter")
    wait_phase(at_regions, "finished")
    at_regions.part("marks").focus()
    at_regions.page.keyboard.press("ArrowRight")
    for _ in range(2):
        at_regions.page.keyboard.press("Shift+ArrowLeft")
    with at_regions.answered():
        at_regions.page.keyboard.press("Enter")
    assert [step["type"] for step in at_regions.histories()[-1]] == ["mask"]
