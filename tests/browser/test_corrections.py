"""Undo, redo, clear and candidates: the mask follows from the interactions alone."""

import io

import numpy as np
import pytest
from PIL import Image

from mobilesam import Prompt
from tests.browser.object_list import coco_masks, edit, press_next, save_all
from tests.serving import LEFT, RIGHT, draw


def keys(combination):
    return lambda demo: demo.page.keyboard.press(combination)


def button(command):
    return lambda demo: demo.do(command)


BY_BUTTON = (button("undo"), button("redo"), button("clear"))
BY_KEY = (keys("Control+z"), keys("Control+Shift+z"), keys("Escape"))
BY_OTHER_KEY = (keys("Meta+z"), keys("Control+y"), keys("Escape"))


def test_points_and_a_box_are_sent_together(demo):
    demo.click(LEFT.centre)
    demo.drag((30, 40), (150, 160))
    demo.click((140, 150), "right")
    assert demo.interactions()[-1] == [
        {"type": "point", "x": LEFT.x, "y": LEFT.y, "label": 1},
        {"type": "box", "box": [30, 40, 151, 161]},
        {"type": "point", "x": 140, "y": 150, "label": 0},
    ]
    mask = demo.mask()
    assert mask[LEFT.y, LEFT.x]
    assert not mask[150, 140]


@pytest.mark.parametrize("ways", [BY_BUTTON, BY_KEY, BY_OTHER_KEY], ids=["button", "key", "other"])
def test_undo_redo_and_clear_restore_the_same_masks(demo, ways):
    undo, redo, clear = ways
    demo.click(LEFT.centre)
    one, one_marked = demo.pixels("mask"), demo.pixels("marks")
    demo.click(RIGHT.centre)
    two, two_marked = demo.pixels("mask"), demo.pixels("marks")
    assert not np.array_equal(one, two)

    with demo.answered():
        undo(demo)
    assert np.array_equal(demo.pixels("mask"), one)
    assert np.array_equal(demo.pixels("marks"), one_marked)
    with demo.answered():
        redo(demo)
    assert np.array_equal(demo.pixels("mask"), two)
    assert np.array_equal(demo.pixels("marks"), two_marked)

    clear(demo)
    assert not demo.mask().any()
    assert demo.marks() == 0
    with demo.answered():
        undo(demo)
    assert np.array_equal(demo.pixels("mask"), two)
    assert np.array_equal(demo.pixels("marks"), two_marked)
    redo(demo)
    assert not demo.mask().any()


def test_undoing_everything_leaves_an_empty_mask_and_nothing_to_download(demo):
    demo.click(LEFT.centre)
    assert demo.button("mask").is_enabled()
    demo.do("undo")
    assert not demo.mask().any()
    assert demo.button("mask").is_disabled()
    assert demo.button("cutout").is_disabled()
    assert demo.button("undo").is_disabled()
    assert demo.button("clear").is_disabled()
    assert demo.button("redo").is_enabled()
    assert demo.part("decode-cost").text_content() == "no click yet"


def test_a_new_click_after_undo_ends_redo(demo):
    demo.click(LEFT.centre)
    demo.click((20, 20), "right")
    with demo.answered():
        demo.do("undo")
    demo.click((100, 110))
    assert demo.button("redo").is_disabled()
    assert [(step["x"], step["label"]) for step in demo.interactions()[-1]] == [(90, 1), (100, 1)]


def test_one_click_offers_three_candidates_with_their_predicted_iou(demo, photo, bundled):
    demo.click(LEFT.centre)
    prediction = bundled.predict(bundled.encode(photo), Prompt([LEFT.centre], [1]))
    assert demo.candidates().count() == 3
    numbers = [float(text.split()[-1]) for text in demo.candidates().all_inner_texts()]
    (chosen,) = demo.pressed()
    assert chosen == prediction.best
    assert numbers == pytest.approx(prediction.iou_predictions.clip(max=1), abs=0.0051)
    assert f"Quality {numbers[chosen]:.2f}" in demo.text("verdict")
    for candidate in demo.candidates().all():
        painted = candidate.locator("canvas").evaluate(
            "(c) => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v)"
        )
        assert painted
    demo.click((100, 110))
    assert demo.candidates().count() == 0


@pytest.mark.parametrize("way", ["key", "click"])
def test_another_candidate_changes_the_mask_and_is_sent_with_the_next_click(demo, way):
    demo.click(LEFT.centre)
    first = demo.pixels("mask")
    (best,) = demo.pressed()
    other = 1 if best != 1 else 0
    with demo.answered():
        if way == "key":
            demo.page.keyboard.press(str(other + 1))
        else:
            demo.candidates().nth(other).click()
    assert demo.pressed() == [other]
    assert not np.array_equal(demo.pixels("mask"), first)

    demo.click((20, 20), "right")
    assert demo.interactions()[-1] == [
        {"type": "point", "x": LEFT.x, "y": LEFT.y, "label": 1},
        {"type": "candidate", "index": other},
        {"type": "point", "x": 20, "y": 20, "label": 0},
    ]
    for _ in range(2):
        with demo.answered():
            demo.do("undo")
    assert demo.pressed() == [best]
    assert np.array_equal(demo.pixels("mask"), first)


def test_the_key_of_the_chosen_candidate_sends_no_request(demo):
    demo.click(LEFT.centre)
    (best,) = demo.pressed()
    demo.page.keyboard.press(str(best + 1))
    demo.click((100, 110))
    assert [step["type"] for step in demo.interactions()[-1]] == ["point", "point"]


def test_another_photo_starts_without_marks_and_mask(demo, tmp_path):
    demo.click(LEFT.centre)
    path = tmp_path / "other.png"
    draw(200, 300, [RIGHT]).save(path)
    demo.open(path)
    assert not demo.mask().any()
    assert demo.marks() == 0
    assert demo.button("undo").is_disabled()
    assert demo.button("redo").is_disabled()
    assert demo.text("verdict") == ""


def test_clean_up_can_be_switched_off_and_each_object_keeps_its_choice(demo):
    speckled = (30, 100)  # the background, with specks and holes at the discs
    demo.click(speckled)
    clean = demo.mask()
    with demo.answered():
        demo.part("clean").uncheck()
    raw = demo.mask()
    assert [query["clean"] for query in demo.sent("segment")[-2:]] == [True, False]
    assert not np.array_equal(raw, clean)
    assert np.array_equal(np.array(Image.open(io.BytesIO(demo.download("mask")[1]))) == 255, raw)

    press_next(demo)
    demo.page.locator(".sam-eye").first.click()  # a click on an object that shows would edit it
    demo.part("clean").check()
    demo.click(speckled)
    assert np.array_equal(demo.mask(), clean)
    masks = coco_masks(save_all(demo, "coco_rle")[1])
    assert np.array_equal(masks["Object 1"], raw)
    assert np.array_equal(masks["Object 2"], clean)
    edit(demo, 0)
    assert not demo.part("clean").is_checked()
    assert np.array_equal(demo.mask(), raw)
