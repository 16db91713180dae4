"""labelme files, rasterised as labelme does it and by our own reader; files from strangers."""

from __future__ import annotations

import base64
import copy
import io
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mobilesam import AnnotationError, PhotoObject
from mobilesam.export import mask_png
from mobilesam.export.documents import MAX_OUTLINE_PX
from mobilesam.export.labelme import labelme_document, read_labelme
from tests.bad_files import header_bomb
from tests.serving import iou
from tests.shapes import fifty_masks

MASKS = fifty_masks()


def document_of(objects, size_hw):
    """A labelme file, after a trip through JSON."""
    return json.loads(json.dumps(labelme_document("a.jpg", size_hw, objects)))


def rasterised_by_labelme(shape: dict, size_hw: tuple[int, int]) -> np.ndarray:
    """What labelme's utils.shape makes of a shape, with Pillow; labelme itself needs Qt."""
    points = shape["points"]
    if shape["shape_type"] == "mask":
        mask = np.zeros(size_hw, bool)
        (x1, y1), (x2, y2) = np.asarray(points).astype(int)
        png = Image.open(io.BytesIO(base64.b64decode(shape["mask"])))
        mask[y1 : y2 + 1, x1 : x2 + 1] = np.array(png).astype(bool)
        return mask
    image = Image.fromarray(np.zeros(size_hw, np.uint8))
    assert shape["shape_type"] == "polygon"
    assert len(points) > 2
    ImageDraw.Draw(image).polygon([tuple(point) for point in points], outline=1, fill=1)
    return np.array(image, dtype=bool)


@pytest.mark.parametrize("name", MASKS)
def test_labelme_and_our_reader_find_the_very_mask(name, tell):
    mask = MASKS[name]
    document = document_of([PhotoObject("thing", mask, 0.875)], mask.shape)
    (shape,) = document["shapes"]
    overlap = iou(rasterised_by_labelme(shape, mask.shape), mask)
    tell(f"labelme {shape['shape_type']} {name}: IoU {overlap:.4f}")
    assert overlap == 1
    (item,) = read_labelme(document, mask.shape)
    assert (item.name, item.predicted_iou) == ("thing", 0.875)
    np.testing.assert_array_equal(item.mask, mask)


def test_simple_masks_are_polygons_and_others_are_masks():
    def kind(name: str) -> str:
        objects = [PhotoObject("thing", MASKS[name])]
        return document_of(objects, MASKS[name].shape)["shapes"][0]["shape_type"]

    names = ("disc 0", "ring 0", "parts 0", "island 0", "single_pixels 4")
    assert [kind(name) for name in names] == ["polygon", "mask", "mask", "mask", "mask"]


def test_the_document_says_what_labelme_asks_for():
    mask = MASKS["disc 0"]
    document = document_of([PhotoObject("disc", mask), PhotoObject("no", mask & ~mask)], mask.shape)
    (shape,) = document.pop("shapes")
    assert document == {
        "version": "5.5.0",
        "flags": {},
        "imagePath": "a.jpg",
        "imageData": None,
        "imageHeight": 120,
        "imageWidth": 160,
    }
    del shape["points"]
    assert shape == {
        "label": "disc",
        "group_id": None,
        "description": "",
        "flags": {},
        "mask": None,
        "shape_type": "polygon",
    }


def shaped(**fields: object) -> dict:
    """A file with one shape for a photo of 6 x 8."""
    shape = {"label": "cat", "shape_type": "polygon", "points": [[1, 1], [5, 1], [5, 4], [1, 4]]}
    return {"imageHeight": 6, "imageWidth": 8, "shapes": [shape | fields]}


def box(y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
    mask = np.zeros((6, 8), bool)
    mask[y0:y1, x0:x1] = True
    return mask


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, box(1, 5, 1, 6)),
        ({"points": [[1.9, 1.9], [5.9, 1.9], [5.9, 4.9], [1.9, 4.9]]}, box(1, 5, 1, 6)),
        ({"shape_type": "rectangle", "points": [[5, 4], [1, 1]]}, box(1, 5, 1, 6)),
        ({"shape_type": "rectangle", "points": [[-0.5, 0], [8, 6.5]]}, box(0, 6, 0, 8)),
        ({"shape_type": "oriented_rectangle"}, box(1, 5, 1, 6)),
    ],
)
def test_shapes_drawn_by_hand_are_read_as_labelme_fills_them(fields, expected):
    (item,) = read_labelme(shaped(**fields), (6, 8))
    np.testing.assert_array_equal(item.mask, expected)


def test_shapes_of_one_label_and_group_are_one_object():
    first = shaped(group_id=1)["shapes"][0]
    second = first | {"points": [[6, 0], [7, 0], [7, 2]]}
    shapes = [first, second, second | {"group_id": 2}, second | {"label": "dog"}]
    shapes += [first | {"group_id": None}] * 2
    document = shaped() | {"shapes": shapes}
    objects = read_labelme(document, (6, 8))
    assert [item.name for item in objects] == ["cat", "cat", "dog", "cat", "cat"]
    assert [int(item.mask.sum()) for item in objects] == [25, 5, 5, 20, 20]


def png(size_hw=(2, 3), mode="L", file_format="PNG") -> str:
    data = io.BytesIO()
    Image.new(mode, size_hw[::-1]).save(data, file_format)
    return base64.b64encode(data.getvalue()).decode()


def masked(mask: object, points: object = ((1, 1), (3, 2))) -> dict:
    return shaped(shape_type="mask", mask=mask, points=[list(point) for point in points])


ZIGZAG = [[0, 0], [8, 6]] * (MAX_OUTLINE_PX // 8)
CORRUPT = base64.b64encode(mask_png(np.ones((2, 3), bool))[:-30]).decode()
HOSTILE = {
    "null": (None, "it must be an object"),
    "text": ("{}", "it must be an object"),
    "empty": ({}, "labelme file cannot be read: shapes is missing"),
    "shapes an object": ({"shapes": {}}, "shapes must be a list"),
    "shape no object": ({"shapes": [1]}, r"shapes\[0\] must be an object"),
    "another size": (shaped() | {"imageHeight": 7}, "another size"),
    "half a size": (shaped() | {"imageWidth": None}, "another size"),
    "size text": (shaped() | {"imageWidth": "8"}, "imageWidth must be a finite number"),
    "too many": ({"shapes": shaped()["shapes"] * 1001}, "at most 1000"),
    "empty label": (shaped(label=" "), "name"),
    "no label": (shaped(label=None), "label must be text"),
    "label an object": (shaped(label={}), "label must be text"),
    "iou text": (shaped(predicted_iou="1"), "predicted_iou must be a finite number"),
    "no points": (shaped(points=None), r"points \[x, y\]"),
    "points flat": (shaped(points=[1, 1, 5, 1, 5, 4]), r"points \[x, y\]"),
    "points of three": (shaped(points=[[1, 1, 1]] * 3), r"points \[x, y\]"),
    "two points": (shaped(points=[[1, 1], [5, 1]]), "three points"),
    "text points": (shaped(points=[["1", 1], [5, 1], [5, 4]]), "two numbers"),
    "NaN": (shaped(points=[[float("nan"), 1], [5, 1], [5, 4]]), "two numbers"),
    "outside": (shaped(points=[[1, 1], [5, 1], [5, 10**400]]), "outside"),
    "too long": (shaped(points=ZIGZAG + ZIGZAG[:2]), "too long"),
    "line": (shaped(shape_type="line", points=[[1, 1], [5, 1]]), "shape_type must be 'polygon'"),
    "unknown shape": (shaped(shape_type=[]), "shape_type must be 'polygon'"),
    "rectangle of three": (shaped(shape_type="rectangle", points=[[1, 1]] * 3), "two corners"),
    "rectangle outside": (shaped(shape_type="rectangle", points=[[1, 1], [9.5, 2]]), "outside"),
    "mask missing": (masked(None), "base64"),
    "mask a list": (masked([[1]]), "mask must be text"),
    "mask not base64": (masked("ä!"), "base64"),
    "mask empty": (masked(""), "base64"),
    "mask not an image": (masked("aGVsbG8="), "base64"),
    "mask a gif": (masked(png(file_format="GIF")), "base64"),
    "mask cut off": (masked(CORRUPT), "base64"),
    "mask in colour": (masked(png(mode="RGB")), "grey"),
    "mask too small": (masked(png((2, 2))), "size"),
    "mask too large": (masked(png((6, 8))), "size"),
    "mask a bomb": (masked(base64.b64encode(header_bomb()).decode()), "base64|size"),
    "mask outside": (masked(png(), ((7, 5), (9.5, 6))), "outside"),
    "mask over the edge": (masked(png(), ((6, 5), (8, 6))), "size"),
}


def test_the_mask_that_the_hostile_ones_are_made_of_is_read():
    assert not read_labelme(masked(png()), (6, 8))[0].mask.any()
    assert not read_labelme(masked(png(mode="1")), (6, 8))[0].mask.any()


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_document_gets_one_clear_sentence(what):
    document, sentence = HOSTILE[what]
    with pytest.raises(AnnotationError, match=sentence) as caught:
        read_labelme(copy.deepcopy(document), (6, 8))
    assert len(str(caught.value)) < 200
