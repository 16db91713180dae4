"""COCO files, read by pycocotools and by our own reader; files from strangers."""

from __future__ import annotations

import copy
import json
import weakref

import numpy as np
import pytest
from pycocotools.coco import COCO

from mobilesam import AnnotationError, PhotoObject, PromptError
from mobilesam.export.coco import CocoPhoto, coco_annotation, coco_document, read_coco
from mobilesam.export.documents import MAX_OUTLINE_PX
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
    (item,) = read_coco(document, mask.shape)
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
    third = read_coco(coco.dataset, mask.shape, "2.jpg")
    assert [item.name for item in third] == ["dog", "ant", "dog"]
    assert not read_coco(coco.dataset, mask.shape, "1.jpg")


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
    (item,) = read_coco(document, (3, 4))
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


HOSTILE = {
    "null": (None, "it must be an object"),
    "list": ([], "it must be an object"),
    "empty": ({}, "COCO file cannot be read: images is missing"),
    "no images": (changed("images", []), "no annotations for this photo"),
    "images no list": (changed("images", {}), "images must be a list"),
    "image no object": (changed("images/0", 5), r"images\[0\] must be an object"),
    "two photos": (changed("images", MINE["images"] * 2), "several photos"),
    "id a list": (changed("images/0/id", []), r"images\[0\].id must be an id"),
    "id a bool": (changed("images/0/id", True), r"images\[0\].id must be an id"),
    "height text": (changed("images/0/height", "6"), "height must be a finite number"),
    "turned": ({**MINE, "images": [{**MINE["images"][0], "height": 8, "width": 6}]}, "size"),
    "huge height": (changed("images/0/height", 10**9), "another size"),
    "no categories": (changed("categories", None), "categories must be a list"),
    "category no object": (changed("categories/0", []), r"categories\[0\] must be an object"),
    "category id a list": (changed("categories/0/id", [1]), r"categories\[0\].id must be an id"),
    "category unknown": (changed("annotations/0/category_id", 7), "category"),
    "category unhashable": (changed("annotations/0/category_id", {}), "category_id must be an id"),
    "name a number": (changed("categories/0/name", 7), "name must be text"),
    "name empty": (changed("categories/0/name", " "), "name"),
    "name endless": (changed("categories/0/name", "x" * 10**6), "name"),
    "annotations missing": (changed("annotations", None), "annotations must be a list"),
    "annotation no object": (changed("annotations", [[]]), r"annotations\[0\] must be an object"),
    "too many": (changed("annotations", MINE["annotations"] * 1001), "1001 objects"),
    "iou text": (
        changed("annotations/0/predicted_iou", "0.5"),
        "predicted_iou must be a finite number",
    ),
    "iou NaN": (
        changed("annotations/0/predicted_iou", float("nan")),
        "predicted_iou must be a finite number",
    ),
    "no segmentation": (
        changed("annotations/0/segmentation", None),
        "polygons or a run-length mask",
    ),
    "segmentation empty": (polygons(), "polygons or a run-length mask"),
    "segmentation text": (
        changed("annotations/0/segmentation", "x"),
        "polygons or a run-length mask",
    ),
    "rle of another size": (changed("annotations/0/segmentation/size", [8, 6]), "size"),
    "rle too long": (changed("annotations/0/segmentation/counts", "0" * 10**6), "fill"),
    "rle cut off": (changed("annotations/0/segmentation/counts", "l"), "damaged"),
    "polygon no list": (polygons(5), "polygons or a run-length mask"),
    "polygon nested": (polygons([[0, 0], [5, 0], [5, 5]]), "three points"),
    "polygon a box": (polygons([0, 0, 5, 5]), "three points"),
    "polygon odd": (polygons([0, 0, 5, 0, 5, 5, 1]), "three points"),
    "polygon text": (polygons(["0", 0, 5, 0, 5, 5]), "two numbers"),
    "polygon bools": (polygons([True, 0, 5, 0, 5, 5]), "two numbers"),
    "polygon null": (polygons([None, 0, 5, 0, 5, 5]), "two numbers"),
    "polygon NaN": (polygons([float("nan"), 0, 5, 0, 5, 5]), "two numbers"),
    "polygon infinite": (polygons([float("inf"), 0, 5, 0, 5, 5]), "two numbers"),
    "polygon outside": (polygons([0, 0, 5, 0, 5, 7.5]), "outside"),
    "polygon far outside": (polygons([0, 0, 5, 0, 5, -1e300]), "outside"),
    "polygon further": (polygons([0, 0, 5, 0, 5, 10**400]), "outside"),
    "polygon too long": (polygons(ZIGZAG), "too long"),
    "polygons too long": (polygons(ZIGZAG[: len(ZIGZAG) // 2], ZIGZAG), "too long"),
}


def test_the_document_that_the_hostile_ones_are_made_of_is_read():
    assert read_coco(MINE, (6, 8))[0].mask.all()
    near = polygons([-0.9, 0, 8.9, 0, 8, 6.9, 0, 6])
    assert read_coco(near, (6, 8))[0].mask.all()


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_document_gets_one_clear_sentence(what):
    document, sentence = HOSTILE[what]
    with pytest.raises(AnnotationError, match=sentence) as caught:
        read_coco(document, (6, 8))
    assert len(str(caught.value)) < 200


def test_a_photo_that_the_file_does_not_name_is_refused():
    with pytest.raises(AnnotationError, match="no annotations for this photo"):
        read_coco(MINE, (6, 8), "b.jpg")


def test_masks_that_would_fill_the_memory_are_refused_before_any_is_made():
    size_hw = (6000, 6000)
    document = document_of([], size_hw)
    full = {"image_id": 1, "category_id": 1, "segmentation": {"size": [6000, 6000], "counts": "x"}}
    document["annotations"] = [full] * 28
    with pytest.raises(AnnotationError, match="at most 27"):
        read_coco(document, size_hw)
