"""COCO files, read by pycocotools and by our own reader; files from strangers."""

from __future__ import annotations

import copy
import json
import time
import tracemalloc
import weakref

import numpy as np
import pytest
from pycocotools.coco import COCO

from mobilesam import AnnotationError, PhotoObject, PromptError
from mobilesam.export import PhotoInfo, read_annotations
from mobilesam.export.coco import CocoPhoto, coco_annotation, coco_document
from mobilesam.export.documents import MAX_OUTLINE_PX
from tests.annotations import cases, read
from tests.serving import iou
from tests.shapes import fifty_masks

MASKS = fifty_masks()
SEGMENTATIONS = ("rle", "polygons")


def coco_photo(file_name, size_hw, objects, as_polygons=False) -> CocoPhoto:
    annotations = (coco_annotation(item, as_polygons) for item in objects if item.area)
    return CocoPhoto(file_name, size_hw, tuple(annotations))


def document_of(objects, size_hw, segmentation="rle", file_name="a.jpg"):
    """A COCO file of one photo, after a trip through JSON."""
    photo = coco_photo(file_name, size_hw, objects, segmentation == "polygons")
    content = coco_document([photo])
    return json.loads(json.dumps(content))


def loaded(document, tmp_path) -> COCO:
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(document))
    return COCO(str(path))


@pytest.mark.parametrize("segmentation", SEGMENTATIONS)
@pytest.mark.parametrize("name", MASKS)
def test_pycocotools_and_our_reader_find_the_very_mask(name, segmentation, tmp_path, tell):
    mask = MASKS[name]
    document = document_of([PhotoObject("thing", mask, 0.875)], mask.shape, segmentation)
    coco = loaded(document, tmp_path)
    (annotation,) = coco.loadAnns(coco.getAnnIds(catIds=coco.getCatIds(["thing"])))
    overlap = iou(coco.annToMask(annotation).astype(bool), mask)
    tell(f"COCO {segmentation} {name}: IoU {overlap:.4f}")
    assert overlap == 1
    assert annotation["predicted_iou"] == 0.875
    ((item,), skipped) = read(document, mask.shape)
    assert not skipped
    assert (item.name, item.predicted_iou) == ("thing", 0.875)
    np.testing.assert_array_equal(item.mask, mask)


def test_area_and_bbox_are_the_mask_s():
    mask = MASKS["island 0"]
    annotation = document_of([PhotoObject("thing", mask)], mask.shape, "polygons")["annotations"][0]
    rows, columns = np.nonzero(mask)
    assert annotation["area"] == mask.sum()
    assert annotation["bbox"] == [
        columns.min(),
        rows.min(),
        np.ptp(columns) + 1,
        np.ptp(rows) + 1,
    ]
    assert annotation["iscrowd"] == 0
    assert "predicted_iou" not in annotation


def test_many_photos_share_ids_and_categories(tmp_path):
    mask = MASKS["disc 3"]
    photos = [
        coco_photo(f"{index}.jpg", mask.shape, [PhotoObject(name, mask) for name in names])
        for index, names in enumerate([["cat", "dog"], [], ["dog", "ant", "dog"]])
    ]
    coco = loaded(coco_document(photos), tmp_path)
    assert [image["file_name"] for image in coco.dataset["images"]] == ["0.jpg", "1.jpg", "2.jpg"]
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == [
        "cat",
        "dog",
        "ant",
    ]
    assert len(coco.anns) == 5
    dogs = coco.loadAnns(coco.getAnnIds(catIds=coco.getCatIds(["dog"])))
    assert [dog["image_id"] for dog in dogs] == [1, 3, 3]
    third, _ = read(coco.dataset, mask.shape, "2.jpg")
    assert [item.name for item in third] == ["dog", "ant", "dog"]
    assert read(coco.dataset, mask.shape, "1.jpg") == ([], {})


def test_a_folder_holds_the_masks_of_one_photo_at_a_time():
    alive: list[weakref.ref] = []
    most = 0

    def photos():
        nonlocal most
        for index in range(20):
            mask = MASKS["disc 3"].copy()
            alive.append(weakref.ref(mask))
            most = max(most, sum(reference() is not None for reference in alive))
            made = coco_photo(f"{index}.jpg", mask.shape, [PhotoObject("disc", mask)])
            del mask
            yield made

    assert len(coco_document(photos())["annotations"]) == 20
    assert most == 1


def test_empty_masks_are_left_out_and_refused_alone():
    mask = MASKS["disc 3"]
    empty = PhotoObject("nothing", mask & ~mask)
    assert document_of([empty], mask.shape)["annotations"] == []
    with pytest.raises(PromptError, match="empty"):
        coco_annotation(empty)


def test_uncompressed_counts_and_text_ids_of_other_programs_are_read():
    document = {
        "images": [{"id": "x", "file_name": "a.jpg", "width": 4, "height": 3, "licence": 1}],
        "annotations": [
            {
                "image_id": "x",
                "category_id": "c",
                "iscrowd": 1,
                "segmentation": {"size": [3, 4], "counts": [2, 1, 9]},
            }
        ],
        "categories": [{"id": "c", "name": " cat\n"}],
    }
    ((item,), _) = read(document, (3, 4))
    expected = np.zeros((3, 4), bool)
    expected[2, 0] = True
    assert item.name == "cat"
    np.testing.assert_array_equal(item.mask, expected)


MINE = document_of([PhotoObject("cat", np.ones((6, 8), bool), 0.5)], (6, 8))
ZIGZAG = [0, 0, 8, 6] * (MAX_OUTLINE_PX // 8)


def changed(path: str, value: object) -> object:
    """MINE with another value at `key/index/key`."""
    document = copy.deepcopy(MINE)
    *way, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    place = document
    for step in way:
        place = place[step]
    place[last] = value
    return document


def polygons(*value: object) -> object:
    return changed("annotations/0/segmentation", list(value))


REFUSED = {
    "null": (None, "contains no masks"),
    "list": ([], "contains no masks"),
    "empty": ({}, "contains no masks"),
    "no images": (changed("images", []), "contains no masks"),
    "images no list": (changed("images", {}), "images must be a list"),
    "categories no list": (changed("categories", None), "categories must be a list"),
    "annotations missing": (changed("annotations", None), "annotations must be a list"),
    "image no object": (changed("images/0", 5), "contains no masks"),
}
SKIPPED = {
    "id a list": (changed("images/0/id", []), "annotations of no photo in the file"),
    "id a bool": (changed("images/0/id", True), "annotations of no photo in the file"),
    "turned": (
        {**MINE, "images": [{**MINE["images"][0], "height": 8, "width": 6}]},
        "objects of photos that the file has turned by 90 degrees",
    ),
    "huge height": (changed("images/0/height", 10**9), "objects of photos of another size"),
    "endless height": (changed("images/0/height", 10**400), "objects of photos of another size"),
    "annotation no object": (changed("annotations", [[]]), "annotations of no photo in the file"),
    "name empty": (changed("categories/0/name", " "), "objects without a usable name"),
    "name null": (changed("categories/0/name", None), "objects without a usable name"),
    "name endless": (changed("categories/0/name", "x" * 10**6), "objects without a usable name"),
    "no segmentation": (changed("annotations/0/segmentation", None), "boxes without a mask"),
    "segmentation empty": (polygons(), "boxes without a mask"),
    "segmentation text": (changed("annotations/0/segmentation", "x"), "objects without a mask"),
    "segmentation a number": (changed("annotations/0/segmentation", 7), "objects without a mask"),
    "rle of another size": (
        changed("annotations/0/segmentation/size", [8, 6]),
        "masks of another size",
    ),
    "rle too long": (changed("annotations/0/segmentation/counts", "0" * 10**6), "damaged masks"),
    "rle cut off": (changed("annotations/0/segmentation/counts", "l"), "damaged masks"),
    "empty mask": (changed("annotations/0/segmentation/counts", [48]), "empty masks"),
    "polygon no list": (polygons(5), "shapes with damaged coordinates"),
    "polygon nested": (polygons([[0, 0], [5, 0], [5, 5]]), "shapes with damaged coordinates"),
    "polygon a box": (polygons([0, 0, 5, 5]), "polygons with fewer than three points"),
    "polygon odd": (polygons([0, 0, 5, 0, 5, 5, 1]), "shapes with damaged coordinates"),
    "polygon text": (polygons(["0", 0, 5, 0, 5, 5]), "shapes with damaged coordinates"),
    "polygon bools": (polygons([True, 0, 5, 0, 5, 5]), "shapes with damaged coordinates"),
    "polygon null": (polygons([None, 0, 5, 0, 5, 5]), "shapes with damaged coordinates"),
    "polygon infinite": (
        polygons([float("inf"), 0, 5, 0, 5, 5]),
        "shapes with damaged coordinates",
    ),
    "polygon beside": (polygons([9, 0, 15, 0, 15, 5]), "shapes outside the photo"),
    "polygon far away": (polygons([1e300, 0, 1e300, 9, 1e301, 5]), "shapes outside the photo"),
    "polygon endless": (polygons([0, 0, 5, 0, 5, 10**400]), "shapes with damaged coordinates"),
    "polygon too long": (polygons(ZIGZAG), "polygons that are too long together"),
}


def test_the_document_that_the_hostile_ones_are_made_of_is_read():
    assert read(MINE, (6, 8))[0][0].mask.all()
    near = polygons([-0.9, 0, 8.9, 0, 8, 6.9, 0, 6])
    assert read(near, (6, 8))[0][0].mask.all()


@pytest.mark.parametrize("what", REFUSED)
def test_a_document_without_its_lists_gets_one_clear_sentence(what):
    document, sentence = REFUSED[what]
    with pytest.raises(AnnotationError, match=sentence) as caught:
        read(document, (6, 8))
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("what", cases(SKIPPED))
def test_what_cannot_be_read_is_skipped_and_the_rest_is_read(what):
    document, reason = SKIPPED[what]
    assert read(document, (6, 8)) == ([], {reason: 1})
    good = {"id": 77, "file_name": "a.jpg", "height": 6, "width": 8}
    more = copy.deepcopy(document)
    more["images"].append(good)
    more["categories"] = [*more["categories"], {"id": 9, "name": "dog"}]
    whole = {"size": [6, 8], "counts": [0, 48]}
    more["annotations"].append({"image_id": 77, "category_id": 9, "segmentation": whole})
    ((dog,), skipped) = read(more, (6, 8))
    assert (dog.name, dog.area) == ("dog", 48)
    assert skipped == {reason: 1}


def test_of_several_polygons_those_that_can_be_read_are_one_object():
    document = polygons([0, 0, 4, 0, 4, 6, 0, 6], [0, 0], [4, 0, 8, 0, 8, 6, 4, 6], "x")
    ((item,), skipped) = read(document, (6, 8))
    assert item.mask.all()
    assert not skipped
    ((item,), skipped) = read(polygons([0, 0, 8, 0, 8, 6, 0, 6], ZIGZAG), (6, 8))
    assert item.mask.all()
    assert not skipped


def test_an_unknown_category_is_named_by_its_id():
    for value, name in ((7, "class 7"), ("x", "class 'x'"), ({}, "class")):
        ((item,), _) = read(changed("annotations/0/category_id", value), (6, 8))
        assert item.name == name
    ((item,), _) = read(changed("categories/0/name", 3), (6, 8))
    assert item.name == "3"


@pytest.mark.parametrize("iou", ["0.5", 10**400, [1], True, float("nan"), float("inf")])
def test_an_odd_predicted_iou_is_none(iou):
    assert read(changed("annotations/0/predicted_iou", iou), (6, 8))[0][0].predicted_iou is None


def test_a_photo_that_the_file_does_not_name_is_unmatched():
    imported = read_annotations(
        json.dumps(MINE).encode(), "coco.json", [PhotoInfo("b.jpg", (6, 8))]
    )
    assert imported.unmatched == {"a.jpg": 1}
    assert not imported.objects


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rle", "polygon", "damaged"])
def test_a_thousand_masks_of_a_huge_photo_take_neither_time_nor_memory(kind):
    segmentation = {
        "rle": {"size": [6000, 6000], "counts": [0, 36_000_000]},
        "polygon": [[0, 0, 900, 0, 900, 900, 0, 900]],
        "damaged": {"size": [6000, 6000], "counts": "x"},
    }[kind]
    row = {"image_id": 1, "category_id": 1, "segmentation": segmentation}
    document = {**document_of([], (6000, 6000)), "annotations": [row] * 1000}
    began = time.thread_time()
    tracemalloc.start()
    try:
        objects, skipped = read(document, (6000, 6000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.thread_time() - began < 4
    assert peak < 50_000_000
    assert len(objects) == (0 if kind == "damaged" else 1000)
    assert skipped == ({"damaged masks": 1000} if kind == "damaged" else {})


def test_polygons_are_limited_by_their_length_together():
    whole = [[0, 0, 6000, 0, 6000, 6000, 0, 6000]]
    row = {"image_id": 1, "category_id": 1, "segmentation": whole}
    document = {**document_of([], (6000, 6000)), "annotations": [row] * 1000}
    objects, skipped = read(document, (6000, 6000))
    assert len(objects) == 166
    assert skipped == {"polygons that are too long together": 834}


@pytest.mark.slow
def test_more_than_a_thousand_objects_of_a_photo_are_skipped():
    document = changed("annotations", MINE["annotations"] * 1003)
    objects, skipped = read(document, (6, 8))
    assert len(objects) == 1000
    assert skipped == {"objects beyond the limit": 3}
