"""Annotation files that the page opens: what becomes of them for its photos."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mobilesam.export import export_file
from mobilesam.images import Photo
from mobilesam.objects import MAX_OBJECTS, PhotoObject
from mobilesam.web.page import object_payload

HEIGHT, WIDTH = 120, 180
NAME = "große Scheibe.png"


@pytest.fixture
def load(handlers, upload):
    """load(content): the reply for one photo, with its `objects`."""

    def import_file(content, name="a.json", size_hw=(HEIGHT, WIDTH)):
        photo = {"name": NAME, "height": size_hw[0], "width": size_hw[1]}
        query = {"path": upload(content), "name": name, "photos": [photo]}
        reply = handlers.files.import_annotations(query)
        for row in reply.get("photos", []):
            reply["objects"] = row["objects"]
        return reply

    return import_file


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
    reply = handlers.files.import_annotations(query)
    assert reply["ok"]
    named = {row["index"]: [item["name"] for item in row["objects"]] for row in reply["photos"]}
    assert named == {1: ["cat", "dog"], 0: ["ant"]}
    (ant,) = reply["photos"][1]["objects"]
    assert ant["rle"]["size"] == [10, 20]
    assert coco_mask.area(ant["rle"]) == 81
    assert reply["unmatched"] == [{"name": "c.jpg", "count": 2}]
    assert reply["skipped"] == [{"reason": "files without masks", "count": 1}]
    assert not Path(path).exists()
    assert handlers.files.import_annotations(query)["expired"]

    path = upload(archive.getvalue())
    reply = handlers.files.import_annotations({**query, "path": path, "assign": {"c.jpg": 2}})
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
    reply = handlers.files.import_annotations({**query, **change})
    assert not reply["ok"]
    assert "went wrong" not in reply["error"]


def test_a_photo_that_is_said_to_be_huge_takes_no_memory(handlers, upload):
    photos = [{"name": "a.jpg", "width": 1_000_000, "height": 1_000_000}]
    query = {"path": upload(a_labelme_file("a.jpg", "cat")), "name": "a.json", "photos": photos}
    reply = handlers.files.import_annotations({**query, "assign": {"a.jpg": 7, "x": -1}})
    assert reply["photos"] == []
    assert reply["skipped"] == [{"reason": "objects of photos that are too large", "count": 1}]


def test_objects_that_take_too_long_to_read_are_skipped(load, monkeypatch):
    shape = {"label": "a", "shape_type": "rectangle", "points": [[1, 1], [99, 99]]}
    text = json.dumps({"shapes": [shape] * 300})
    assert len(load(text)["objects"]) == 300
    monkeypatch.setattr(object_payload, "IMPORT_BUDGET_S", -1.0)
    assert load(text)["skipped"] == [{"reason": "objects that would take too long", "count": 300}]


@pytest.mark.parametrize("kind", ["coco_rle", "coco_polygons", "labelme"])
def test_our_own_files_are_read_back_to_the_pixel(load, kind):
    left, right = np.zeros((2, HEIGHT, WIDTH), bool)
    left[20:60, 10:70] = right[50:100, 90:140] = True
    objects = [PhotoObject("left", left, 0.75), PhotoObject("right", right)]
    photo = Photo(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    _, data = export_file(kind, photo, objects, NAME)
    reply = load(data)
    assert [item["name"] for item in reply["objects"]] == ["left", "right"]
    assert [item["predicted_iou"] for item in reply["objects"]] == [0.75, None]
    for item, mask in zip(reply["objects"], (left, right), strict=True):
        assert np.array_equal(coco_mask.decode(item["rle"]) == 1, mask)


def test_of_a_file_of_several_photos_the_one_of_this_name_is_read(load):
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
    reply = load(json.dumps(document))
    (item,) = reply["objects"]
    columns = np.flatnonzero(coco_mask.decode(item["rle"]).any(axis=0))
    assert item["name"] == "cup"
    assert columns.min() >= 2


@pytest.mark.parametrize(
    "text",
    [
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
def test_a_file_without_masks_of_this_photo_gives_no_objects(load, text):
    reply = load(text)
    assert "went wrong" not in reply.get("error", "")
    assert not reply.get("objects")


def test_objects_beyond_those_the_page_can_hold_are_skipped(load):
    shape = {"label": "a", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}
    reply = load(json.dumps({"shapes": [shape] * (MAX_OBJECTS + 2)}))
    assert len(reply["objects"]) == MAX_OBJECTS
    (skipped,) = reply["skipped"]
    assert skipped["count"] == 2


def test_empty_masks_of_a_file_are_left_out(load):
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
    reply = load(json.dumps(document), size_hw=(2, 3))
    (loaded,) = reply["objects"]
    assert coco_mask.area(loaded["rle"]) == 4
    assert reply["skipped"] == [{"reason": "empty masks", "count": 1}]


def test_a_file_about_one_other_photo_is_loaded_if_it_fits(load):
    text = a_labelme_file("other.jpg", "cat", "", imageHeight=HEIGHT, imageWidth=WIDTH)
    reply = load(text)
    assert [item["name"] for item in reply["objects"]] == ["cat"]
    assert reply["skipped"] == [{"reason": "objects without a usable name", "count": 1}]
    text = a_labelme_file("other.jpg", "cat", imageHeight=HEIGHT + 1, imageWidth=WIDTH)
    reply = load(text)
    assert reply["skipped"] == [{"reason": "objects of photos of another size", "count": 1}]


def test_yolo_labels_are_loaded_for_the_open_photo(load):
    text = "3 0.1 0.1 0.5 0.1 0.5 0.5\n1 .5 .5 .1 .1\n"
    reply = load(text, "gro\u00dfe Scheibe.txt")
    assert [item["name"] for item in reply["objects"]] == ["class 3"]
    assert reply["skipped"] == [{"reason": "boxes without a mask", "count": 1}]
