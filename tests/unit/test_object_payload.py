"""Objects of the page: their files, files read back, hostile queries."""

from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mobilesam.interactions import parse_interactions
from mobilesam.web.page import object_payload
from mobilesam.web.page.handlers import PageHandlers
from mobilesam.web.page.object_payload import MAX_OBJECTS, objects_from_file
from tests.opening import new_handlers, opened

POINT = {"type": "point", "x": 90, "y": 60, "label": 1}
HEIGHT, WIDTH = 120, 180


def edited(mask):
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"type": "mask", "rle": {"size": rle["size"], "counts": rle["counts"].decode()}}


def rectangle(x0, y0, x1, y1):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y0:y1, x0:x1] = True
    return mask


LEFT, RIGHT = rectangle(10, 20, 60, 80), rectangle(40, 50, 150, 100)


@pytest.fixture
def handlers(segmenter, tmp_path, monkeypatch) -> PageHandlers:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return new_handlers(segmenter, tmp_path)


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
        {"name": "left", "interactions": [edited(LEFT)], **more},
        {"name": "right", "interactions": [edited(RIGHT)]},
    ]


def coco_masks(data):
    document = json.loads(data)
    names = {category["id"]: category["name"] for category in document["categories"]}
    return {
        names[one["category_id"]]: coco_mask.decode(one["segmentation"]) == 1
        for one in document["annotations"]
    }


def test_the_index_picture_has_the_colours_of_the_page(save):
    _, data = save(two(colour="#0a0b0c"), "index_png")
    shown = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
    assert tuple(shown[30, 20]) == (10, 11, 12)


@pytest.mark.parametrize("colour", ["blue", 7, {}, "#1e8aff;"])
def test_what_is_no_colour_gets_a_sentence(handlers, token, colour):
    query = {"token": token, "objects": two(colour=colour), "kind": "index_png"}
    assert handlers.export(query)["error"].startswith("A colour must be")


def test_edited_masks_are_exported_unchanged(save):
    name, data = save(two())
    assert name == "große Scheibe-coco.json"
    assert json.loads(data)["images"][0]["file_name"] == "große Scheibe.png"
    masks = coco_masks(data)
    assert np.array_equal(masks["left"], LEFT)
    assert np.array_equal(masks["right"], RIGHT)


def test_clicks_are_decoded_at_the_size_of_the_photo(save, segmenter, handlers, token):
    _, data = save([{"name": "disc", "interactions": [POINT]}], "index_png")
    pixels = np.array(Image.open(io.BytesIO(data)))
    mask = handlers.export({"token": token, "interactions": [POINT], "kind": "mask"})
    assert pixels.shape == (HEIGHT, WIDTH)
    assert np.array_equal(pixels == 1, np.array(Image.open(mask["path"])) == 255)


def test_each_object_is_cleaned_or_not_as_it_was_kept(save, segmenter, disc):
    box = [{"type": "box", "box": [60, 30, 120, 90]}]
    _, data = save(
        [
            {"name": "default", "interactions": box},
            {"name": "clean", "interactions": box, "clean": True},
            {"name": "raw", "interactions": box, "clean": False},
        ]
    )
    answer = segmenter.answer(segmenter.encode(disc), parse_interactions(box))
    raw, clean = answer.mask(), answer.mask(clean=True)
    assert not np.array_equal(raw, clean)
    for name, mask in coco_masks(data).items():
        assert np.array_equal(mask, raw if name == "raw" else clean), name


@pytest.mark.parametrize(
    ("exclusive", "left"), [(None, LEFT), ("later", LEFT & ~RIGHT), ("predicted_iou", LEFT)]
)
def test_overlaps_are_removed_by_the_chosen_rule(save, exclusive, left):
    _, data = save(two(predicted_iou=0.9), exclusive=exclusive)
    masks = coco_masks(data)
    assert np.array_equal(masks["left"], left)
    assert np.array_equal(masks["right"], RIGHT & ~LEFT if exclusive == "predicted_iou" else RIGHT)


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
        [{"name": "a", "interactions": []}],
        [{"name": "", "interactions": [POINT]}],
        [{"name": 7, "interactions": [POINT]}],
        [{"name": "x" * 1000, "interactions": [POINT]}],
        [{"name": "a", "interactions": [{"type": "mask", "rle": {"size": [9, 9], "counts": "0"}}]}],
        [{"name": "a", "interactions": [edited(LEFT)], "predicted_iou": "high"}],
        [{"name": "a", "interactions": [POINT], "clean": "yes"}],
        [{"name": "a", "interactions": [POINT]}] * (MAX_OBJECTS + 1),
        [{"name": "a", "interactions": [POINT] * 60}] * 40,
        [{"name": "a", "interactions": [edited(LEFT & RIGHT & ~LEFT)]}],
    ],
)
def test_objects_that_cannot_be_exported_get_a_sentence(handlers, token, objects):
    reply = handlers.export({"token": token, "objects": objects, "kind": "coco_rle"})
    assert not reply["ok"]
    assert "went wrong" not in reply["error"]


def test_an_export_has_a_cpu_budget(handlers, token, monkeypatch):
    items = [{"name": "a", "interactions": [edited(LEFT)]}] * 50
    asked = {"token": token, "objects": items, "kind": "coco_rle"}
    assert handlers.export(asked)["ok"]
    monkeypatch.setattr(object_payload, "CPU_BUDGET_S", 0.001)
    reply = handlers.export(asked)
    assert not reply["ok"]
    assert "fewer objects" in reply["error"]


def test_objects_that_take_too_long_to_read_are_skipped(handlers, token, monkeypatch):
    shape = {"label": "a", "shape_type": "rectangle", "points": [[1, 1], [99, 99]]}
    asked = {"token": token, "text": json.dumps({"shapes": [shape] * 300})}
    assert len(handlers.load_masks(asked)["objects"]) == 300
    monkeypatch.setattr(object_payload, "IMPORT_BUDGET_S", -1.0)
    reply = handlers.load_masks(asked)
    assert "Skipped: 300 objects that would take too long." in reply["error"]


def test_decodes_count_although_they_run_in_another_thread(handlers, token, monkeypatch, stub_sam):
    """Each takes 20 ms of the decoder's thread, and the budget is that of ten."""
    monkeypatch.setattr(object_payload, "CPU_BUDGET_S", 0.2)
    forward = stub_sam.mask_decoder.module.forward

    def slow(*args, **kwargs):
        ends_at = time.thread_time() + 0.02
        while time.thread_time() < ends_at:
            pass
        return forward(*args, **kwargs)

    monkeypatch.setattr(stub_sam.mask_decoder.module, "forward", slow)
    items = [{"name": "a", "interactions": [{**POINT, "x": 10 + x}]} for x in range(50)]
    query = {"token": token, "objects": items, "kind": "index_png"}
    assert "fewer objects" in handlers.export(query)["error"]
    assert stub_sam.mask_decoder.calls <= 11


@pytest.mark.parametrize("odd", ["first", "", 1, [], {}, True])
def test_unknown_rules_and_formats_get_a_sentence(handlers, token, odd):
    asked = {"token": token, "objects": two(), "kind": "coco_rle"}
    for reply in (
        handlers.export({**asked, "exclusive": odd}),
        handlers.export({**asked, "kind": odd}),
    ):
        assert not reply["ok"]
        assert "went wrong" not in reply["error"]


def test_an_unknown_token_is_expired(handlers, token):
    for token in ("other", None, []):
        assert handlers.export({"token": token, "objects": two(), "kind": "coco_rle"})["expired"]
        assert handlers.load_masks({"token": token, "text": "{}"})["expired"]


@pytest.mark.parametrize("kind", ["coco_rle", "coco_polygons", "labelme"])
def test_our_own_files_are_read_back_to_the_pixel(handlers, token, save, kind):
    _, data = save(two(predicted_iou=0.75), kind)
    reply = handlers.load_masks({"token": token, "text": data.decode()})
    assert [item["name"] for item in reply["objects"]] == ["left", "right"]
    assert [item["predicted_iou"] for item in reply["objects"]] == [0.75, None]
    for item, mask in zip(reply["objects"], (LEFT, RIGHT), strict=True):
        assert np.array_equal(coco_mask.decode(item["rle"]) == 1, mask)


def test_of_a_file_of_several_photos_the_one_of_this_name_is_read(handlers, token):
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
    reply = handlers.load_masks({"token": token, "text": json.dumps(document)})
    (item,) = reply["objects"]
    columns = np.flatnonzero(coco_mask.decode(item["rle"]).any(axis=0))
    assert item["name"] == "cup"
    assert columns.min() >= 2


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
def test_a_file_without_masks_of_this_photo_gets_a_sentence(handlers, token, text):
    reply = handlers.load_masks({"token": token, "text": text})
    assert not reply["ok"]
    assert "went wrong" not in reply["error"]


def test_objects_beyond_those_the_page_can_hold_are_skipped(handlers, token):
    shape = {"label": "a", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}
    reply = handlers.load_masks(
        {"token": token, "text": json.dumps({"shapes": [shape] * (MAX_OBJECTS + 2)})}
    )
    assert len(reply["objects"]) == MAX_OBJECTS
    (skipped,) = reply["skipped"]
    assert skipped["count"] == 2


def test_empty_masks_of_a_file_are_left_out():
    """Runs begin outside: 6 of them are an empty mask, 2 and then 4 are not."""
    annotations = [
        {
            "id": number,
            "image_id": 1,
            "category_id": 1,
            "segmentation": {"size": [2, 3], "counts": runs},
        }
        for number, runs in enumerate([[6], [2, 4]], start=1)
    ]
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 3, "height": 2}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cup"}],
    }
    reply = objects_from_file(json.dumps(document), (2, 3), "a.png")
    (loaded,) = reply["objects"]
    assert coco_mask.area(loaded["rle"]) == 4
    assert reply["skipped"] == [{"reason": "empty masks", "count": 1}]


def a_labelme_file(name: str, *labels: str, **more: object) -> str:
    shape = {"shape_type": "rectangle", "points": [[1, 1], [9, 9]]}
    return json.dumps(
        {"imagePath": name, "shapes": [{**shape, "label": label} for label in labels], **more}
    )


@pytest.fixture
def upload(tmp_path):
    """Stores an upload as the page does, and returns its path."""

    def store(data: bytes | str) -> str:
        path = tmp_path / "annotations"
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return str(path)

    return store


def test_annotations_of_several_photos_are_imported_and_the_upload_removed(handlers, upload):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("a.json", a_labelme_file("..\\photos\\a.jpg", "cat", "dog"))
        files.writestr("b.json", a_labelme_file("b.jpg", "ant"))
        files.writestr("c.json", a_labelme_file("c.jpg", "bee", "bee"))
        files.writestr("notes.json", "{}")
    path = upload(archive.getvalue())
    photos = [
        {"name": "b.jpg", "sha256": None, "width": 20, "height": 10},
        {"name": "a.jpg", "sha256": "0" * 64, "width": 30, "height": 20},
        {"name": "d.jpg", "width": 30, "height": 20},
    ]
    query = {"path": path, "name": "all.zip", "photos": photos, "assign": {}}
    reply = handlers.import_annotations(query)
    assert reply["ok"]
    named = {row["index"]: [item["name"] for item in row["objects"]] for row in reply["photos"]}
    assert named == {1: ["cat", "dog"], 0: ["ant"]}
    (ant,) = reply["photos"][1]["objects"]
    assert ant["rle"]["size"] == [10, 20]
    assert coco_mask.area(ant["rle"]) == 81
    assert reply["unmatched"] == [{"name": "c.jpg", "count": 2}]
    assert reply["skipped"] == [{"reason": "files without masks", "count": 1}]
    assert not Path(path).exists()
    assert handlers.import_annotations(query)["expired"]

    path = upload(archive.getvalue())
    reply = handlers.import_annotations({**query, "path": path, "assign": {"c.jpg": 2}})
    assert [row["index"] for row in reply["photos"]] == [1, 0, 2]
    assert reply["unmatched"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/etc/passwd"},
        {"path": None},
        {"name": 7},
        {"photos": None},
        {"photos": [{}]},
        {"photos": [{"name": "a", "width": -1, "height": 1}]},
        {"photos": [{"name": "a", "width": 1e9, "height": 1}]},
        {"photos": [{"name": "a"}] * 1001},
        {"photos": [{"name": "x" * 5000}]},
        {"assign": []},
        {"assign": {"a": "0"}},
    ],
)
def test_a_hostile_import_gets_a_sentence(handlers, upload, change):
    query = {"path": upload(a_labelme_file("a.jpg", "cat")), "name": "a.json", "photos": []}
    reply = handlers.import_annotations({**query, **change})
    assert not reply["ok"]
    assert "went wrong" not in reply["error"]


def test_a_photo_that_is_said_to_be_huge_takes_no_memory(handlers, upload):
    photos = [{"name": "a.jpg", "width": 1_000_000, "height": 1_000_000}]
    query = {"path": upload(a_labelme_file("a.jpg", "cat")), "name": "a.json", "photos": photos}
    reply = handlers.import_annotations({**query, "assign": {"a.jpg": 7, "x": -1}})
    assert reply["photos"] == []
    assert reply["skipped"] == [{"reason": "objects of photos that are too large", "count": 1}]


def test_a_file_about_one_other_photo_is_loaded_if_it_fits(handlers, token):
    text = a_labelme_file("other.jpg", "cat", "", imageHeight=HEIGHT, imageWidth=WIDTH)
    reply = handlers.load_masks({"token": token, "text": text})
    assert [item["name"] for item in reply["objects"]] == ["cat"]
    assert reply["skipped"] == [{"reason": "objects without a usable name", "count": 1}]
    text = a_labelme_file("other.jpg", "cat", imageHeight=HEIGHT + 1, imageWidth=WIDTH)
    reply = handlers.load_masks({"token": token, "text": text})
    assert "1 objects of photos of another size" in reply["error"]


def test_yolo_labels_are_loaded_for_the_open_photo(handlers, token):
    reply = handlers.load_masks(
        {"token": token, "text": "3 0.1 0.1 0.5 0.1 0.5 0.5\n1 .5 .5 .1 .1\n"}
    )
    assert [item["name"] for item in reply["objects"]] == ["class 3"]
    assert reply["skipped"] == [{"reason": "boxes without a mask", "count": 1}]
