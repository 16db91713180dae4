"""Objects downloaded in every format, and masks loaded from a file."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from mobilesam.objects import MAX_OBJECTS
from tests.browser.object_list import (
    coco_masks,
    delete,
    edit,
    layer_at,
    load,
    names,
    press_next,
    save_all,
)
from tests.serving import LEFT, RIGHT, Disc, iou


def test_the_index_picture_has_every_object_and_the_current_mask(demo):
    demo.click(LEFT.centre)
    press_next(demo)
    demo.click(RIGHT.centre)
    name, data = save_all(demo, "index_png")
    pixels = np.array(Image.open(io.BytesIO(data)))
    assert name == "discs-index.png"
    assert pixels.shape == (200, 300)
    assert iou(pixels == 1, LEFT.mask()) > 0.9
    assert iou(pixels == 2, RIGHT.mask()) > 0.8


def test_a_coco_file_holds_the_masks_that_the_page_showed(demo):
    demo.click(LEFT.centre)
    shown = {"Object 1": demo.mask()}
    press_next(demo)
    demo.click(RIGHT.centre)
    shown["Object 2"] = demo.mask()
    saved = coco_masks(save_all(demo, "coco_rle")[1])
    assert saved.keys() == shown.keys()
    for name, mask in shown.items():
        assert np.array_equal(saved[name], mask)


@pytest.mark.parametrize(
    ("kind", "ending"),
    [
        ("mask_png", "-masks.png"),
        ("cutouts_zip", "-cutouts.zip"),
        ("coco_polygons", ".json"),
        ("yolo", "-yolo.zip"),
        ("labelme", ".json"),
    ],
)
def test_every_file_that_is_offered_can_be_saved(two, kind, ending):
    name, data = save_all(two, kind)
    assert name.endswith(ending)
    assert len(data) > 100
    assert two.alert() == ""


@pytest.mark.parametrize("kind", ["coco_rle", "labelme"])
def test_a_downloaded_file_gives_another_user_the_same_masks(two, empty_demo, photo, kind):
    saved = save_all(two, kind)[1]
    before = coco_masks(save_all(two, "coco_rle")[1])
    other = empty_demo
    other.open(photo)
    load(other, saved)
    other.wait_for_objects(2)
    assert other.text("note-text") == "2 objects were loaded."
    other.page.keyboard.press("Control+z")
    assert names(other) == []
    load(other, saved)
    other.wait_for_objects(2)
    assert names(other) == ["Object 1", "Object 2"]
    after = coco_masks(save_all(other, "coco_rle")[1])
    for name, mask in before.items():
        assert np.array_equal(after[name], mask)
    edit(other, 0)
    assert np.array_equal(other.mask(), before["Object 1"])
    other.click((95, 110))
    assert [step["type"] for step in other.interactions()[-1]] == ["mask", "point"]


def test_a_file_of_masks_can_be_dropped_and_a_bad_one_changes_nothing(two):
    drop = """(text) => {
      const data = new DataTransfer();
      data.items.add(new File([text], 'masks.json', {type: 'application/json'}));
      document.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true}));
    }"""
    with two.refused():
        two.page.evaluate(drop, '{"shapes": "none"}')
    assert "labelme" in two.alert()
    assert names(two) == ["Object 1", "Object 2"]
    shape = {"label": "corner", "points": [[0, 0], [30, 0], [30, 30]], "shape_type": "polygon"}
    two.page.evaluate(drop, json.dumps({"shapes": [shape]}))
    two.wait_for_objects(3)
    assert names(two)[2] == "corner"
    assert two.alert() == ""


def test_one_object_too_many_is_refused_with_a_sentence_and_the_others_stay(two):
    shape = {"label": "spot", "shape_type": "rectangle", "points": [[1, 1], [9, 9]]}
    load(two, json.dumps({"shapes": [shape] * (MAX_OBJECTS - 2)}).encode())
    two.wait_for_objects(MAX_OBJECTS)
    with two.refused():
        load(two, json.dumps({"shapes": [{**shape, "label": "more"}]}).encode())
    assert f"up to {MAX_OBJECTS} objects" in two.alert()
    assert len(names(two)) == MAX_OBJECTS
    delete(two, 0)
    load(two, json.dumps({"shapes": [{**shape, "label": "more"}]}).encode())
    two.wait_for_objects(MAX_OBJECTS)
    assert names(two)[0] == "Object 2"


def test_masks_without_a_photo_are_refused_with_a_sentence(empty_demo):
    with empty_demo.refused():
        load(empty_demo, b"{}")
    assert empty_demo.alert().startswith("Open the photos first")


def overlapping():
    shapes = [
        {"label": name, "points": [[x, 50], [x + 99, 149]], "shape_type": "rectangle", **more}
        for name, x, more in [("a", 50, {"predicted_iou": 0.9}), ("b", 100, {"predicted_iou": 0.5})]
    ]
    return json.dumps({"shapes": shapes}).encode()


def test_without_overlaps_the_page_shows_and_saves_the_same(demo):
    load(demo, overlapping())
    demo.wait_for_objects(2)
    shared = Disc(125, 100, 1)
    masks = coco_masks(save_all(demo, "coco_rle")[1])
    assert masks["a"][100, 125]
    assert masks["b"][100, 125]
    both = layer_at(demo, shared)
    demo.part("exclusive").check()
    masks = coco_masks(save_all(demo, "coco_rle")[1])
    assert not masks["a"][100, 125]
    assert masks["b"][100, 125]
    later = layer_at(demo, shared)
    assert np.array_equal(later, layer_at(demo, Disc(180, 100, 1)))
    demo.part("winner").select_option("predicted_iou")
    masks = coco_masks(save_all(demo, "coco_rle")[1])
    assert masks["a"][100, 125]
    assert not masks["b"][100, 125]
    best = layer_at(demo, shared)
    assert np.array_equal(best, layer_at(demo, Disc(70, 100, 1)))
    assert len({tuple(one) for one in (both, later, best)}) == 3
