"""Undo, redo, clear and candidates: one history, and a mask that follows from it alone."""

import numpy as np
import pytest

from tests.serving import LEFT, RIGHT, draw


def keys(combination):
    return lambda visitor: visitor.page.keyboard.press(combination)


def button(command):
    return lambda visitor: visitor.do(command)


BY_BUTTON = (button("undo"), button("redo"), button("clear"))
BY_KEY = (keys("Control+z"), keys("Control+Shift+z"), keys("Escape"))
BY_OTHER_KEY = (keys("Meta+z"), keys("Control+y"), keys("Escape"))


def test_points_and_a_box_are_asked_together(at_work):
    at_work.click(LEFT.centre)
    at_work.drag((30, 40), (150, 160))
    at_work.click((140, 150), "right")
    assert at_work.histories()[-1] == [
        {"type": "point", "x": LEFT.x, "y": LEFT.y, "label": 1},
        {"type": "box", "box": [30, 40, 151, 161]},
        {"type": "point", "x": 140, "y": 150, "label": 0},
    ]
    mask = at_work.mask()
    assert mask[LEFT.y, LEFT.x]
    assert not mask[150, 140]


@pytest.mark.parametrize("ways", [BY_BUTTON, BY_KEY, BY_OTHER_KEY], ids=["button", "key", "other"])
def test_undo_redo_and_clear_bring_back_the_very_masks(at_work, ways):
    undo, redo, clear = ways
    at_work.click(LEFT.centre)
    one, one_marked = at_work.pixels("mask"), at_work.pixels("marks")
    at_work.click(RIGHT.centre)
    two, two_marked = at_work.pixels("mask"), at_work.pixels("marks")
    assert not np.array_equal(one, two)

    with at_work.answered():
        undo(at_work)
    assert np.array_equal(at_work.pixels("mask"), one)
    assert np.array_equal(at_work.pixels("marks"), one_marked)
    with at_work.answered():
        redo(at_work)
    assert np.array_equal(at_work.pixels("mask"), two)
    assert np.array_equal(at_work.pixels("marks"), two_marked)

    clear(at_work)
    assert not at_work.mask().any()
    assert at_work.marks() == 0
    with at_work.answered():
        undo(at_work)
    assert np.array_equal(at_work.pixels("mask"), two)
    assert np.array_equal(at_work.pixels("marks"), two_marked)
    redo(at_work)
    assert not at_work.mask().any()


def test_undoing_everything_leaves_an_empty_mask_and_nothing_to_download(at_work):
    at_work.click(LEFT.centre)
    assert at_work.button("mask").is_enabled()
    at_work.do("undo")
    assert not at_work.mask().any()
    assert at_work.button("mask").is_disabled()
    assert at_work.button("cutout").is_disabled()
    assert at_work.button("undo").is_disabled()
    assert at_work.button("clear").is_disabled()
    assert at_work.button("redo").is_enabled()
    assert at_work.text("decode-cost") == "no click yet"


def test_a_new_click_after_undo_forgets_what_was_undone(at_work):
    at_work.click(LEFT.centre)
    at_work.click((20, 20), "right")
    with at_work.answered():
        at_work.do("undo")
    at_work.click((100, 110))
    assert at_work.button("redo").is_disabled()
    assert [(step["x"], step["label"]) for step in at_work.histories()[-1]] == [(90, 1), (100, 1)]


def test_one_click_offers_three_candidates_with_their_predicted_iou(at_work):
    at_work.click(LEFT.centre)
    assert at_work.candidates().count() == 3
    numbers = [float(text.split()[-1]) for text in at_work.candidates().all_inner_texts()]
    (chosen,) = at_work.pressed()
    assert numbers[chosen] == max(numbers)
    assert f"Mask ready, predicted IoU {numbers[chosen]:.2f}" in at_work.text("verdict")
    for candidate in at_work.candidates().all():
        painted = candidate.locator("canvas").evaluate(
            "(c) => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v)"
        )
        assert painted
    at_work.click((100, 110))
    assert at_work.candidates().count() == 0


@pytest.mark.parametrize("way", ["key", "click"])
def test_another_candidate_changes_the_mask_and_counts_in_the_next_click(at_work, way):
    at_work.click(LEFT.centre)
    first = at_work.pixels("mask")
    (best,) = at_work.pressed()
    other = 1 if best != 1 else 0
    with at_work.answered():
        if way == "key":
            at_work.page.keyboard.press(str(other + 1))
        else:
            at_work.candidates().nth(other).click()
    assert at_work.pressed() == [other]
    assert not np.array_equal(at_work.pixels("mask"), first)

    at_work.click((20, 20), "right")
    assert at_work.histories()[-1] == [
        {"type": "point", "x": LEFT.x, "y": LEFT.y, "label": 1},
        {"type": "candidate", "index": other},
        {"type": "point", "x": 20, "y": 20, "label": 0},
    ]
    for _ in range(2):
        with at_work.answered():
            at_work.do("undo")
    assert at_work.pressed() == [best]
    assert np.array_equal(at_work.pixels("mask"), first)


def test_the_key_of_the_chosen_candidate_asks_nothing(at_work):
    at_work.click(LEFT.centre)
    (best,) = at_work.pressed()
    at_work.page.keyboard.press(str(best + 1))
    at_work.click((100, 110))
    assert [step["type"] for step in at_work.histories()[-1]] == ["point", "point"]


def test_another_photo_starts_without_marks_and_mask(at_work, tmp_path):
    at_work.click(LEFT.centre)
    path = tmp_path / "other.png"
    draw(200, 300, [RIGHT]).save(path)
    at_work.open(path)
    assert not at_work.mask().any()
    assert at_work.marks() == 0
    assert at_work.button("undo").is_disabled()
    assert at_work.button("redo").is_disabled()
    assert at_work.text("verdict") == ""
