"""Finding everything: masks are shown as they come, ticked, then kept or edited."""

import json
import re

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.browser.driver import Gate
from tests.browser.object_list import delete, names, row
from tests.serving import LEFT, RIGHT, Disc, draw, iou

POINTS_8 = {"set-points": "8", "set-iou": "0.3", "set-stability": "0.2"}
POLL_MS = 700  # the page asks for more every half second
BOTTOM = Disc(230, 160, 25, (40, 80, 220))


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A photo of three discs."""
    path = tmp_path_factory.mktemp("photos") / "three.png"
    draw(discs=[LEFT, RIGHT, BOTTOM]).save(path)
    return path


@pytest.fixture
def masks_demo(demo, three):
    """The demo with a photo of three discs, and settings that are fast and lenient."""
    demo.open(three)
    set_up(demo)
    return demo


def set_up(demo, **settings):
    if not demo.part("set-points").is_visible():
        demo.page.locator(".sam-everything summary").click()
    for name, value in {**POINTS_8, **settings}.items():
        field = demo.part(name)
        is_list = name in ("set-points", "set-share", "set-duplicates")
        field.select_option(value) if is_list else field.fill(value)


def press(demo, command):
    demo.page.locator(f"[data-do={command}]").click()


def wait_phase(demo, phase):
    demo.wait_for("(p) => document.querySelector('.sam').dataset.everything === p", phase)


def find(demo):
    press(demo, "everything")
    wait_phase(demo, "finished")


def hover(demo, xy):
    demo.page.mouse.move(*demo.place(*xy))


def test_masks_are_found_with_progress_and_coloured(masks_demo):
    masks_demo.page.evaluate(
        """() => { window.said = []; new MutationObserver(() => window.said.push(
          document.querySelector('[data-part=generation-status]').textContent)).observe(
          document.querySelector('[data-part=generation-status]'), {childList: true}); }"""
    )
    find(masks_demo)
    said = masks_demo.page.evaluate("() => window.said")
    assert any(text.split(",")[0].endswith("of 64 points") for text in said)
    assert "masks" in said[-1]
    count = masks_demo.count("masks")
    assert count >= 3
    assert f"{count} masks" in masks_demo.text("generation-status")
    pixels = masks_demo.pixels("marks")
    height, width = pixels.shape[:2]

    def colour(disc):
        return tuple(pixels[disc.y * height // 200, disc.x * width // 300])

    assert len({colour(LEFT), colour(RIGHT), colour(BOTTOM)}) == 3
    assert all(colour(disc)[3] > 0 for disc in (LEFT, RIGHT, BOTTOM))
    assert masks_demo.complaints == []


def test_the_settings_begin_with_the_defaults_of_the_weights_and_are_sent(masks_demo):
    press(masks_demo, "everything-defaults")
    assert masks_demo.part("set-points").input_value() == "16"
    assert masks_demo.part("set-iou").input_value() == "0.4"
    assert masks_demo.part("set-stability").input_value() == "0.3"
    assert masks_demo.part("set-share").input_value() == "0.01"
    assert masks_demo.part("set-duplicates").input_value() == "0.8"
    set_up(masks_demo, **{"set-area": "50"})
    find(masks_demo)
    assert masks_demo.sent("everything")[0]["options"] == {
        "points_per_side": 8,
        "min_area_share": 0.01,
        "mask_nms_thresh": 0.8,
        "min_mask_region_area": 50,
        "pred_iou_thresh": 0.3,
        "stability_score_thresh": 0.2,
    }


def test_a_setting_out_of_range_gets_a_sentence(masks_demo):
    set_up(masks_demo, **{"set-iou": "7"})
    with masks_demo.refused():
        press(masks_demo, "everything")
    assert "pred_iou_thresh must be a number from 0 to 1" in masks_demo.alert()
    press(masks_demo, "dismiss")
    masks_demo.click(LEFT.centre)
    assert masks_demo.mask()[LEFT.y, LEFT.x]


def test_stop_ends_the_requests_and_what_was_found_stays(masks_demo):
    set_up(masks_demo, **{"set-points": "32"})
    press(masks_demo, "everything")
    masks_demo.wait_for("() => Number(document.querySelector('.sam').dataset.masks) > 0")
    assert masks_demo.page.locator("[data-do=everything-keep]").is_disabled()
    press(masks_demo, "everything-stop")
    wait_phase(masks_demo, "stopped")
    assert masks_demo.text("generation-status").startswith("Stopped at ")
    masks_demo.settle()
    asked = masks_demo.sent("everything")
    assert asked[-1]["stop"] is True
    masks_demo.page.wait_for_timeout(POLL_MS)
    assert masks_demo.sent("everything") == asked
    assert masks_demo.count("masks") > 0


def test_the_mask_under_the_pointer_is_highlighted(masks_demo):
    find(masks_demo)
    plain = masks_demo.pixels("marks")
    hover(masks_demo, LEFT.centre)
    left = masks_demo.data("hovered")
    assert left != "0"
    lit = masks_demo.pixels("marks")
    changed = (plain != lit).any(axis=2)
    height, width = changed.shape
    assert changed[LEFT.y * height // 200, LEFT.x * width // 300]
    assert not changed[RIGHT.y * height // 200, RIGHT.x * width // 300]
    hover(masks_demo, RIGHT.centre)
    assert masks_demo.data("hovered") not in ("0", left)
    masks_demo.page.mouse.move(2, 2)
    masks_demo.wait_for("() => document.querySelector('.sam').dataset.hovered === '0'")
    assert np.array_equal(masks_demo.pixels("marks"), plain)


def test_the_status_tells_the_size_and_the_quality_of_the_mask_under_the_pointer(masks_demo):
    find(masks_demo)
    count = masks_demo.text("generation-status")
    box = masks_demo.part("generation").bounding_box()
    hover(masks_demo, LEFT.centre)
    share = 100 * LEFT.mask().mean()
    told = re.fullmatch(
        r"Quality (\d\.\d\d) · ([\d.]+)% of the photo", masks_demo.text("generation-status")
    )
    assert 0.3 <= float(told[1]) <= 1
    assert float(told[2]) == pytest.approx(share, rel=0.15)
    assert masks_demo.part("generation").bounding_box() == box
    masks_demo.page.mouse.move(2, 2)
    masks_demo.wait_for(
        "(text) => document.querySelector('[data-part=generation-status]').textContent === text",
        count,
    )


def test_small_masks_and_near_duplicates_are_left_out_unless_they_are_wanted(masks_demo):
    find(masks_demo)
    few = masks_demo.count("masks")
    set_up(masks_demo, **{"set-duplicates": "1"})
    find(masks_demo)
    assert masks_demo.count("masks") >= few
    set_up(masks_demo, **{"set-share": "0.05"})  # a disc has at most 3%
    find(masks_demo)
    for disc in (LEFT, RIGHT, BOTTOM):
        hover(masks_demo, disc.centre)
        told = masks_demo.text("generation-status")
        assert "of the photo" not in told or float(told.split(" · ")[1].split("%")[0]) >= 5


def test_ticked_masks_are_kept_and_the_button_tells_how_many(masks_demo):
    find(masks_demo)
    keep = masks_demo.button("everything-keep")
    count, box = masks_demo.count("masks"), keep.bounding_box()
    assert keep.inner_text() == f"Keep all {count} as objects"
    plain = masks_demo.pixels("marks")
    for disc in (LEFT, RIGHT, BOTTOM):
        masks_demo.press(disc.centre)
    assert masks_demo.count("ticked") == 3
    masks_demo.press(BOTTOM.centre)  # no longer
    assert keep.inner_text() == "Keep 2 as objects"
    assert keep.bounding_box() == box
    masks_demo.page.mouse.move(2, 2)
    masks_demo.wait_for("() => document.querySelector('.sam').dataset.hovered === '0'")
    changed = (masks_demo.pixels("marks") != plain).any(axis=2)
    height, width = changed.shape
    seen = [changed[d.y * height // 200, d.x * width // 300] for d in (LEFT, RIGHT, BOTTOM)]
    assert seen == [True, True, False]
    keep.click()
    masks_demo.wait_for_objects(2)
    assert masks_demo.data("everything") == "off"
    assert masks_demo.text("note-text") == "2 objects were kept."
    assert masks_demo.count("ticked") == 0


def test_what_is_already_an_object_is_not_kept_again(masks_demo):
    find(masks_demo)
    masks_demo.press(LEFT.centre)
    press(masks_demo, "everything-keep")
    masks_demo.wait_for_objects(1)
    assert masks_demo.text("note-text") == "1 object was kept."
    find(masks_demo)
    count, keep = masks_demo.count("masks"), masks_demo.button("everything-keep")
    assert keep.inner_text() == f"Keep the other {count - 1}"
    keep.click()
    masks_demo.wait_for_objects(count)
    assert masks_demo.text("note-text") == f"{count - 1} objects were kept."
    find(masks_demo)
    assert keep.inner_text() == "All are kept"
    assert keep.is_disabled()
    delete(masks_demo, 0)
    assert keep.inner_text() == "Keep 1 as an object"
    assert keep.is_enabled()
    assert masks_demo.complaints == []


def test_a_kept_mask_is_hatched_and_a_click_shows_its_row(masks_demo):
    find(masks_demo)
    masks_demo.press(LEFT.centre)
    press(masks_demo, "everything-keep")
    find(masks_demo)
    masks_demo.page.mouse.move(2, 2)
    masks_demo.wait_for("() => document.querySelector('.sam').dataset.hovered === '0'")
    pixels = masks_demo.pixels("marks").astype(int)
    height, width = pixels.shape[:2]
    striped = []
    for disc in (LEFT, RIGHT):
        at, reach = disc.y * height // 200, disc.radius * width // 600
        line = pixels[at, disc.x * width // 300 - reach : disc.x * width // 300 + reach, :3]
        white = line.min(axis=1) > 240
        striped.append(white.any() and not white.all())
    assert striped == [True, False]
    hover(masks_demo, LEFT.centre)
    name = names(masks_demo)[0]
    assert masks_demo.text("generation-status") == f"Kept as “{name}”."
    masks_demo.press(LEFT.centre)
    assert masks_demo.count("ticked") == 0
    assert row(masks_demo, 0).get_attribute("data-highlighted") == "yes"


def test_a_click_on_a_kept_mask_scrolls_the_list_to_its_row(masks_demo):
    find(masks_demo)
    press(masks_demo, "everything-keep")
    masks_demo.page.wait_for_selector(".sam-object")
    masks_demo.page.evaluate(
        "() => { const list = document.querySelector('[data-part=object-list]');"
        " Object.assign(list.style, {flex: 'none', height: '50px'}); list.scrollTop = 9999; }"
    )
    find(masks_demo)
    for disc in (LEFT, RIGHT, BOTTOM):
        masks_demo.press(disc.centre)
        chosen = masks_demo.page.locator(".sam-object[data-highlighted=yes]")
        box = chosen.bounding_box()
        seen = masks_demo.part("object-list").bounding_box()
        assert box["y"] >= seen["y"] - 3
        assert box["y"] + box["height"] <= seen["y"] + seen["height"] + 3


def test_the_candidates_of_a_click_do_not_show_beside_generated_masks(masks_demo):
    masks_demo.click(RIGHT.centre)
    chosen = masks_demo.pressed()
    find(masks_demo)
    assert masks_demo.candidates().count() == 0
    assert masks_demo.text("verdict") == ""
    masks_demo.page.keyboard.press(str((chosen[0] + 1) % 3 + 1))
    assert masks_demo.data("everything") == "finished"
    masks_demo.page.keyboard.press("Escape")
    assert masks_demo.pressed() == chosen
    assert "Quality" in masks_demo.text("verdict")


@pytest.mark.parametrize("command", ["everything-keep", "everything-edit", "everything-done"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_second_half_of_a_double_click_hits_nothing_and_nothing_moves(
    masks_demo, command, width
):
    masks_demo.page.set_viewport_size({"width": width, "height": 900})
    masks_demo.settle()
    tool, canvas = masks_demo.button("tool-click"), masks_demo.part("marks")
    places = tool.bounding_box(), canvas.bounding_box()
    masks_demo.page.evaluate("document.querySelector('[data-do=everything]').click()")
    wait_phase(masks_demo, "finished")
    assert not tool.is_visible()
    assert canvas.bounding_box() == places[1]
    buttons = masks_demo.page.locator(".sam-generation button").all()
    boxes = [button.bounding_box() for button in buttons]
    assert max(box["x"] + box["width"] for box in boxes) <= width
    masks_demo.press(LEFT.centre)
    assert [button.bounding_box() for button in buttons] == boxes
    masks_demo.page.evaluate(
        "() => { window.hit = []; document.querySelector('.sam').addEventListener('click', "
        "({target}) => window.hit.push(target.closest('[data-do]')?.dataset.do ?? null)); }"
    )
    masks_demo.button(command).dblclick()
    assert set(masks_demo.page.evaluate("() => window.hit")) <= {command, None}
    assert masks_demo.data("everything") == "off"
    note, row = (masks_demo.part(name).bounding_box() for name in ("note", "generation"))
    if note:
        is_above, is_below = (
            note["y"] + note["height"] <= row["y"],
            note["y"] >= row["y"] + row["height"],
        )
        assert is_above or is_below
    tool.wait_for(state="visible")
    assert (tool.bounding_box(), canvas.bounding_box()) == places


def test_a_mask_is_edited_another_click_corrects_it_and_undo_restores_what_was_before(masks_demo):
    masks_demo.click(RIGHT.centre)
    before = masks_demo.pixels("mask")
    find(masks_demo)
    assert not masks_demo.mask().any()  # the found masks are shown instead
    edit = masks_demo.button("everything-edit")
    assert edit.is_disabled()
    for disc in (RIGHT, LEFT):
        masks_demo.press(disc.centre)
    assert edit.is_disabled()  # which one?
    masks_demo.press(RIGHT.centre)
    with masks_demo.answered():
        edit.click()
    assert masks_demo.data("everything") == "off"
    ((taken,),) = masks_demo.interactions()[-1:]
    assert taken["type"] == "mask"
    assert taken["rle"]["size"] == [200, 300]
    region = coco_mask.decode(taken["rle"]).astype(bool)
    assert iou(region, LEFT.mask()) > 0.9
    assert iou(masks_demo.mask(), region) > 0.97

    masks_demo.click(BOTTOM.centre)
    assert masks_demo.interactions()[-1] == [
        taken,
        {"type": "point", "x": BOTTOM.x, "y": BOTTOM.y, "label": 1},
    ]
    assert not np.array_equal(masks_demo.mask(), region)
    for _ in range(2):
        with masks_demo.answered():
            masks_demo.do("undo")
    assert np.array_equal(masks_demo.pixels("mask"), before)
    assert masks_demo.interactions()[-1][0]["type"] == "point"


def test_all_masks_become_objects_at_the_size_of_the_photo(masks_demo):
    find(masks_demo)
    count = masks_demo.count("masks")
    press(masks_demo, "everything-keep")
    masks_demo.wait_for_objects(count)
    assert masks_demo.data("everything") == "off"
    masks_demo.part("format").select_option("coco_rle")
    kept = json.loads(masks_demo.download("save-all")[1])["annotations"]
    assert len(kept) == count
    assert all(0.3 <= one["predicted_iou"] <= 1.1 for one in kept)
    masks = [coco_mask.decode(one["segmentation"]) for one in kept]
    for disc in (LEFT, RIGHT, BOTTOM):
        assert max(iou(mask == 1, disc.mask()) for mask in masks) > 0.9
    assert masks_demo.text("note-text") == f"{count} objects were kept."
    masks_demo.part("note-undo").click()
    assert masks_demo.count("objects") == 0


def test_what_was_found_is_shown_again_without_another_generation(masks_demo):
    find(masks_demo)
    regions = masks_demo.count("masks")
    press(masks_demo, "everything-done")
    assert masks_demo.data("everything") == "off"
    assert masks_demo.marks() == 0
    asked = len(masks_demo.sent("everything"))
    find(masks_demo)
    assert masks_demo.count("masks") == regions
    assert masks_demo.marks() > 0
    assert len(masks_demo.sent("everything")) == asked
    set_up(masks_demo, **{"set-iou": "0.35"})
    find(masks_demo)
    assert len(masks_demo.sent("everything")) > asked


def test_leaving_the_mode_pauses_the_generation_and_coming_back_continues_it(masks_demo):
    set_up(masks_demo, **{"set-points": "16"})
    press(masks_demo, "everything")
    masks_demo.wait_for("() => Number(document.querySelector('.sam').dataset.masks) > 0")
    masks_demo.page.keyboard.press("Escape")
    assert masks_demo.data("everything") == "off"
    asked = len(masks_demo.sent("everything"))
    masks_demo.page.wait_for_timeout(POLL_MS)
    assert len(masks_demo.sent("everything")) == asked
    find(masks_demo)
    calls = masks_demo.sent("everything")
    assert [call["generation"] for call in calls].count(None) == 1
    assert len(calls) > asked


def test_another_photo_ends_the_mode_and_removes_the_masks(masks_demo, photo):
    find(masks_demo)
    masks_demo.open(photo)
    assert masks_demo.data("everything") == "off"
    assert masks_demo.count("masks") == 0
    assert masks_demo.marks() == 0
    masks_demo.click(LEFT.centre)
    assert masks_demo.mask()[LEFT.y, LEFT.x]


def test_an_expired_generation_is_started_again(masks_demo):
    refused = []

    def expire_once(_gate, route, query):
        if refused or not query["generation"]:
            return False
        refused.append(query["token"])
        route.fulfill(json={"ok": False, "expired": True, "error": "Gone."})
        return True

    Gate(masks_demo, expire_once, "everything")
    set_up(masks_demo, **{"set-points": "16"})
    find(masks_demo)
    assert len(refused) == 1
    calls = masks_demo.sent("everything")
    assert [call["generation"] for call in calls].count(None) == 2
    assert calls[-1]["token"] != refused[0]
    assert masks_demo.alert() == ""
    masks_demo.press(LEFT.centre)
    assert masks_demo.count("ticked") == 1


def test_a_tap_ticks_a_mask(new_demo, three):
    demo = new_demo(has_touch=True, viewport={"width": 390, "height": 844})
    demo.open(three)
    demo.wait_for_model()
    demo.page.locator(".sam-actions [data-do=sheet]").tap()
    set_up(demo)
    find(demo)
    demo.part("photo").scroll_into_view_if_needed()
    demo.page.touchscreen.tap(*demo.place(*RIGHT.centre))
    assert demo.count("ticked") == 1
    with demo.answered():
        demo.page.locator("[data-do=everything-edit]").tap()
    assert iou(demo.mask(), RIGHT.mask()) > 0.9


def test_the_keyboard_finds_everything_and_ticks_and_edits_a_mask(masks_demo):
    masks_demo.page.locator("[data-do=everything]").focus()
    masks_demo.page.keyboard.press("Enter")
    wait_phase(masks_demo, "finished")
    masks_demo.part("marks").focus()
    masks_demo.page.keyboard.press("ArrowRight")
    for _ in range(2):
        masks_demo.page.keyboard.press("Shift+ArrowLeft")
    masks_demo.page.keyboard.press("Enter")
    assert masks_demo.count("ticked") == 1
    masks_demo.button("everything-edit").focus()
    with masks_demo.answered():
        masks_demo.page.keyboard.press("Enter")
    assert [step["type"] for step in masks_demo.interactions()[-1]] == ["mask"]
