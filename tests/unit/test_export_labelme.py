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
from mobilesam.export.labelme import labelme_document
from tests.annotations import cases, read
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
    ((item,), skipped) = read(document, mask.shape)
    assert not skipped
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
        ({"shape_type": "rectangle"}, box(1, 5, 1, 6)),  # four corners
        (
            {"shape_type": "rectangle", "points": [[1, 1], [5, 4], [5, 1], [1, 4]]},
            box(1, 5, 1, 6),
        ),
        ({"shape_type": "rectangle", "points": [[-30, -9], [3, 2]]}, box(0, 3, 0, 4)),
        ({"shape_type": "oriented_rectangle"}, box(1, 5, 1, 6)),
        ({"shape_type": "rotation"}, box(1, 5, 1, 6)),  # of X-AnyLabeling
        ({"shape_type": None}, box(1, 5, 1, 6)),
        ({"points": [[-90, -90], [90, -90], [90, 2], [-90, 2]]}, box(0, 3, 0, 8)),
        ({"shape_type": "circle", "points": [[4, 3], [4, 90]]}, box(0, 6, 0, 8)),
        ({"flags": {}, "attributes": {"x": [1]}, "difficult": True, "score": "?"}, box(1, 5, 1, 6)),
    ],
)
def test_shapes_drawn_by_hand_are_read_as_labelme_fills_them(fields, expected):
    ((item,), skipped) = read(shaped(**fields), (6, 8))
    assert not skipped
    np.testing.assert_array_equal(item.mask, expected)


def test_shapes_of_one_label_and_group_are_one_object():
    first = shaped(group_id=1)["shapes"][0]
    second = first | {"points": [[6, 0], [7, 0], [7, 2]]}
    shapes = [first, second, second | {"group_id": 2}, second | {"label": "dog"}]
    shapes += [first | {"group_id": None}] * 2
    document = shaped() | {"shapes": shapes}
    objects, _ = read(document, (6, 8))
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
REFUSED = {
    "null": (None, "contains no masks"),
    "text": ("{}", "contains no masks"),
    "empty": ({}, "contains no masks"),
    "shapes an object": ({"shapes": {}}, "shapes must be a list"),
}
COORDINATES = "shapes with damaged coordinates"
COUNT = "shapes with another number of points than their type has"
SKIPPED = {
    "shape no object": ({"shapes": [1]}, "objects without a usable name"),
    "another size": (shaped() | {"imageHeight": 7}, "objects of photos of another size"),
    "turned": (
        shaped() | {"imageHeight": 8, "imageWidth": 6},
        "objects of photos that the file has turned by 90 degrees",
    ),
    "empty label": (shaped(label=" "), "objects without a usable name"),
    "no label": (shaped(label=None), "objects without a usable name"),
    "label an object": (shaped(label={}), "objects without a usable name"),
    "no points": (shaped(points=None), COORDINATES),
    "points flat": (shaped(points=[1, 1, 5, 1, 5, 4]), COORDINATES),
    "points of three": (shaped(points=[[1, 1, 1]] * 3), COORDINATES),
    "two points": (shaped(points=[[1, 1], [5, 1]]), "polygons with fewer than three points"),
    "text points": (shaped(points=[["1", 1], [5, 1], [5, 4]]), COORDINATES),
    "NaN": (shaped(points=[[float("nan"), 1], [5, 1], [5, 4]]), COORDINATES),
    "endless": (shaped(points=[[1, 1], [5, 1], [5, 10**400]]), COORDINATES),
    "too long": (shaped(points=ZIGZAG + ZIGZAG[:2]), "polygons that are too long together"),
    "point": (shaped(shape_type="point", points=[[1, 1]]), "points"),
    "points": (shaped(shape_type="points"), "points"),
    "line": (shaped(shape_type="line", points=[[1, 1], [5, 1]]), "lines"),
    "linestrip": (shaped(shape_type="linestrip"), "lines"),
    "unknown shape": (shaped(shape_type="cuboid"), "shapes of an unknown type"),
    "shape a list": (shaped(shape_type=[1]), "shapes of an unknown type"),
    "rectangle of three": (shaped(shape_type="rectangle", points=[[1, 1]] * 3), COUNT),
    "circle of three": (shaped(shape_type="circle", points=[[1, 1]] * 3), COUNT),
    "rectangle outside": (
        shaped(shape_type="rectangle", points=[[9, 1], [19.5, 2]]),
        "shapes outside the photo",
    ),
    "circle far away": (
        shaped(shape_type="circle", points=[[1e300, 1], [1e300, 2]]),
        "shapes outside the photo",
    ),
    "mask missing": (masked(None), "damaged masks"),
    "mask a list": (masked([[1]]), "damaged masks"),
    "mask not base64": (masked("ä!"), "damaged masks"),
    "mask empty": (masked(""), "damaged masks"),
    "mask not an image": (masked("aGVsbG8="), "damaged masks"),
    "mask a gif": (masked(png(file_format="GIF")), "damaged masks"),
    "mask cut off": (masked(CORRUPT), "damaged masks"),
    "mask in colour": (masked(png(mode="RGB")), "masks of another size than their box"),
    "mask too small": (masked(png((2, 2))), "masks of another size than their box"),
    "mask too large": (masked(png((6, 8))), "masks of another size than their box"),
    "mask of zeros": (masked(png()), "empty masks"),
    "mask a bomb": (masked(base64.b64encode(header_bomb()).decode()), "damaged masks"),
    "mask beside": (masked(png(), ((8, 9), (10, 10))), "shapes outside the photo"),
    "mask endless": (masked(png(), ((-1e300, 0), (1e300, 2))), "masks larger than the photo"),
}


def test_masks_are_cut_off_at_the_edge_of_the_photo():
    ones = base64.b64encode(mask_png(np.ones((2, 3), bool))).decode()
    ((item,), _) = read(masked(ones, ((7, 5), (9, 6))), (6, 8))
    np.testing.assert_array_equal(item.mask, box(5, 6, 7, 8))
    ((item,), _) = read(masked(ones, ((-1, -1), (1, 0))), (6, 8))
    np.testing.assert_array_equal(item.mask, box(0, 1, 0, 2))


def test_a_circle_is_filled_as_pillow_does():
    shape = {"label": "o", "shape_type": "circle", "points": [[60, 50], [90, 50]]}
    ((item,), _) = read({"shapes": [shape]}, (100, 120))
    canvas = Image.new("1", (120, 100))
    ImageDraw.Draw(canvas).ellipse((30, 20, 90, 80), fill=1, outline=1)
    assert iou(item.mask, np.array(canvas)) >= 0.97


def test_a_group_keeps_its_parts_that_can_be_read():
    point = {"label": "cat", "shape_type": "point", "points": [[1, 1]], "group_id": 4}
    document = shaped(group_id=4)
    document["shapes"].append(point)
    ((item,), skipped) = read(document, (6, 8))
    assert item.area == 20
    assert not skipped


@pytest.mark.parametrize("what", REFUSED)
def test_a_document_without_shapes_gets_one_clear_sentence(what):
    document, sentence = REFUSED[what]
    with pytest.raises(AnnotationError, match=sentence) as caught:
        read(document, (6, 8))
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("what", cases(SKIPPED))
def test_what_cannot_be_read_is_skipped_and_counted(what):
    document, reason = SKIPPED[what]
    assert read(copy.deepcopy(document), (6, 8)) == ([], {reason: 1})


def test_a_point_beside_polygons_costs_only_itself():
    document = shaped()
    document["shapes"] *= 3
    document["shapes"].insert(1, {"label": "eye", "shape_type": "point", "points": [[1, 1]]})
    objects, skipped = read(document, (6, 8))
    assert len(objects) == 3
    assert skipped == {"points": 1}


@pytest.mark.parametrize("size", [("8", 6), (None, 6), (8, None), (-8, 6), (True, 6)])
def test_a_size_that_is_none_is_not_compared(size):
    document = shaped() | {"imageWidth": size[0], "imageHeight": size[1]}
    assert len(read(document, (6, 8))[0]) == 1
