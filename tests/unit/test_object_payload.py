"""Objects that the page keeps, at the handlers: their files, files read back, hostile queries."""

from __future__ import annotations

import io
import json
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mobilesam.objects import PackedObjects, PhotoObject
from mobilesam.web.page import object_payload as kept
from mobilesam.web.page.handlers import PageHandlers
from mobilesam.web.page.object_payload import MAX_KEPT
from mobilesam.web.server import uploads
from tests.opening import opened

POINT = {"type": "point", "x": 90, "y": 60, "label": 1}
HEIGHT, WIDTH = 120, 180


def taken(mask):
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"type": "mask", "rle": {"size": rle["size"], "counts": rle["counts"].decode()}}


def rectangle(x0, y0, x1, y1):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y0:y1, x0:x1] = True
    return mask


LEFT, RIGHT = rectangle(10, 20, 60, 80), rectangle(40, 50, 150, 100)


@pytest.fixture
def handlers(segmenter, tmp_path, monkeypatch) -> PageHandlers:
    monkeypatch.setattr(uploads, "get_upload_folder", lambda: str(tmp_path))
    model: Future = Future()
    model.set_result(segmenter)
    return PageHandlers(model, tmp_path)


@pytest.fixture
def token(handlers, disc, tmp_path) -> str:
    path = tmp_path / "upload.png"
    Image.fromarray(disc).save(path)
    return opened(handlers, path, name="große Scheibe.png")["token"]


@pytest.fixture
def save(handlers, token):
    """save(objects, kind, exclusive=None): the name and the bytes of the file."""

    def save_file(objects, kind="coco_rle", exclusive=None):
        query = {"token": token, "objects": objects, "kind": kind, "exclusive": exclusive}
        reply = handlers.export(query)
        assert reply["ok"], reply
        return reply["name"], Path(reply["path"]).read_bytes()

    return save_file


def two(**more):
    return [
        {"name": "left", "history": [taken(LEFT)], **more},
        {"name": "right", "history": [taken(RIGHT)]},
    ]


def coco_masks(data):
    document = json.loads(data)
    names = {category["id"]: category["name"] for category in document["categories"]}
    return {
        names[one["category_id"]]: coco_mask.decode(one["segmentation"]) == 1
        for one in document["annotations"]
    }


def test_masks_taken_up_come_out_as_they_went_in(save):
    name, data = save(two())
    assert name == "große-Scheibe-coco.json"
    assert json.loads(data)["images"][0]["file_name"] == "große Scheibe.png"
    masks = coco_masks(data)
    assert np.array_equal(masks["left"], LEFT)
    assert np.array_equal(masks["right"], RIGHT)


def test_clicks_are_played_at_the_size_of_the_photo(save, segmenter, handlers, token):
    _, data = save([{"name": "disc", "history": [POINT]}], "index_png")
    pixels = np.array(Image.open(io.BytesIO(data)))
    mask = handlers.export({"token": token, "history": [POINT], "kind": "mask"})
    assert pixels.shape == (HEIGHT, WIDTH)
    assert np.array_equal(pixels == 1, np.array(Image.open(mask["path"])) == 255)


@pytest.mark.parametrize(
    ("keep", "left"), [(None, LEFT), ("later", LEFT & ~RIGHT), ("predicted_iou", LEFT)]
)
def test_overlaps_go_to_whom_the_visitor_says(save, keep, left):
    _, data = save(two(predicted_iou=0.9), exclusive=keep)
    masks = coco_masks(data)
    assert np.array_equal(masks["left"], left)
    assert np.array_equal(masks["right"], RIGHT & ~LEFT if keep == "predicted_iou" else RIGHT)


def test_packed_objects_are_the_objects():
    packed = PackedObjects([PhotoObject("a", LEFT, 0.5), PhotoObject("b", RIGHT)])
    assert [(item.name, item.predicted_iou) for item in packed] == [("a", 0.5), ("b", None)]
    assert np.array_equal(packed[-1].mask, RIGHT)
    assert [item.name for item in packed[:1]] == ["a"]


@pytest.mark.parametrize(
    "objects",
    [
        None,
        [],
        {},
        "objects",
        [None],
        [[]],
        [{"name": "a"}],
        [{"name": "a", "history": []}],
        [{"name": "", "history": [POINT]}],
        [{"name": 7, "history": [POINT]}],
        [{"name": "x" * 1000, "history": [POINT]}],
        [{"name": "a", "history": [{"type": "mask", "rle": {"size": [9, 9], "counts": "0"}}]}],
        [{"name": "a", "history": [taken(LEFT)], "predicted_iou": "high"}],
        [{"name": "a", "history": [POINT]}] * (MAX_KEPT + 1),
        [{"name": "a", "history": [POINT] * 60}] * 40,
        [{"name": "a", "history": [taken(LEFT & RIGHT & ~LEFT)]}],
    ],
)
def test_objects_that_make_no_file_are_answered_with_a_sentence(handlers, token, objects):
    reply = handlers.export({"token": token, "objects": objects, "kind": "coco_rle"})
    assert not reply["ok"]
    assert "went wrong" not in reply["error"]


@pytest.mark.parametrize("what", ["export", "load"])
def test_a_file_takes_no_longer_than_a_bound(handlers, token, monkeypatch, what):
    shape = {"label": "a", "shape_type": "rectangle", "points": [[1, 1], [99, 99]]}
    text = json.dumps({"shapes": [shape] * 50})
    items = [{"name": "a", "history": [taken(LEFT)]}] * 50
    asked = {"token": token, "objects": items, "kind": "coco_rle", "text": text}
    assert getattr(handlers, what)(asked)["ok"]
    monkeypatch.setattr(kept, "CPU_BUDGET_S", 0.001)
    reply = getattr(handlers, what)(asked)
    assert not reply["ok"]
    assert "fewer objects" in reply["error"]


@pytest.mark.parametrize("odd", ["first", "", 1, [], {}, True])
def test_only_known_rules_and_formats_are_taken(handlers, token, odd):
    asked = {"token": token, "objects": two(), "kind": "coco_rle"}
    for reply in (
        handlers.export({**asked, "exclusive": odd}),
        handlers.export({**asked, "kind": odd}),
    ):
        assert not reply["ok"]
        assert "went wrong" not in reply["error"]


def test_a_photo_that_is_not_open_is_asked_for_again(handlers, token):
    for token in ("other", None, []):
        assert handlers.export({"token": token, "objects": two(), "kind": "coco_rle"})["expired"]
        assert handlers.load({"token": token, "text": "{}"})["expired"]


@pytest.mark.parametrize("kind", ["coco_rle", "coco_polygons", "labelme"])
def test_our_own_files_are_read_back_to_the_pixel(handlers, token, save, kind):
    _, data = save(two(predicted_iou=0.75), kind)
    reply = handlers.load({"token": token, "text": data.decode()})
    assert [item["name"] for item in reply["objects"]] == ["left", "right"]
    assert [item["predicted_iou"] for item in reply["objects"]] == [0.75, None]
    for item, mask in zip(reply["objects"], (LEFT, RIGHT), strict=True):
        assert np.array_equal(coco_mask.decode(item["rle"]) == 1, mask)
        assert np.array_equal(coco_mask.decode(item["display"]) == 1, mask)


def test_a_file_of_several_photos_gives_the_one_of_this_name(handlers, token):
    photo = {"height": HEIGHT, "width": WIDTH}
    document = {
        "images": [
            {"id": 1, "file_name": "other.png", **photo},
            {"id": 2, "file_name": "große Scheibe.png", **photo},
        ],
        "categories": [{"id": 5, "name": "cup"}],
        "annotations": [
            {"image_id": at, "category_id": 5, "segmentation": [[at, 0, at + 9, 0, at + 9, 9]]}
            for at in (1, 2)
        ],
    }
    reply = handlers.load({"token": token, "text": json.dumps(document)})
    (item,) = reply["objects"]
    columns = np.flatnonzero(coco_mask.decode(item["rle"]).any(axis=0))
    assert item["name"] == "cup"
    assert columns.min() >= 2


def test_what_is_shown_is_as_small_as_the_page_asks(handlers, token, save):
    _, data = save(two())
    reply = handlers.load({"token": token, "text": data.decode(), "side": 90})
    assert [item["display"]["size"] for item in reply["objects"]] == [[60, 90], [60, 90]]
    assert reply["objects"][0]["rle"]["size"] == [HEIGHT, WIDTH]


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        [],
        "",
        "no JSON",
        "[]",
        "{}",
        "[" * 100_000,
        '{"shapes": null}',
        '{"shapes": []}',
        '{"shapes": [{"label": "a", "points": [[0, 0], [1e999, 0], [1, 1]]}]}',
        '{"annotations": 1, "images": [], "categories": []}',
        '{"annotations": [], "images": [{"id": 1, "height": 1, "width": 1}], "categories": []}',
    ],
)
def test_what_holds_no_masks_of_this_photo_is_answered_with_a_sentence(handlers, token, text):
    reply = handlers.load({"token": token, "text": text})
    assert not reply["ok"]
    assert "went wrong" not in reply["error"]


def test_more_objects_than_the_page_takes_are_refused(handlers, token):
    shape = {"label": "a", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}
    many = json.dumps({"shapes": [shape] * (MAX_KEPT + 1)})
    assert str(MAX_KEPT) in handlers.load({"token": token, "text": many})["error"]
    assert handlers.load({"token": token, "text": json.dumps({"shapes": [shape] * MAX_KEPT})})["ok"]
