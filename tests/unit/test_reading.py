"""Annotation files of other programs: what is read, what is skipped, and for which photo."""

from __future__ import annotations

import json
import time
import tracemalloc

import numpy as np
import pytest

from mobilesam import AnnotationError, PhotoObject
from mobilesam.export import (
    PhotoInfo,
    export_file,
    read_annotations,
)
from mobilesam.export.documents import MAX_DOCUMENT_BYTES
from mobilesam.images import Photo
from tests.annotations import FLOWER, SIZE, SQUARE, YOLO, coco, labelme, zipped
from tests.serving import iou
from tests.shapes import fifty_masks


def test_a_point_beside_three_shapes_is_skipped_and_counted():
    point = {"shape_type": "point", "points": [[1, 1]]}
    rectangle = {"shape_type": "rectangle", "points": SQUARE}
    imported = read_annotations(labelme({}, point, rectangle, {}), "flower.json", [FLOWER])
    assert [item.area for item in imported.objects[0]] == [441, 441, 441]
    assert imported.skipped == {"points": 1}


def test_a_labelme_file_with_its_photo_embedded_is_read():
    """27 MB of base64, more than any document may have."""
    data = labelme({}, imageData="iVBORw0KGgo/+" * 2_100_000 + "==")
    assert len(data) > 27_000_000
    began = time.thread_time()
    tracemalloc.start()
    try:
        imported = read_annotations(data, "flower.json", [FLOWER])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(imported.objects[0]) == 1
    assert peak < 10_000_000
    assert time.thread_time() - began < 2


def test_what_is_not_the_photo_is_limited():
    with pytest.raises(AnnotationError, match=r"more than 20 MB\. Split"):
        read_annotations(labelme({}, flags="x" * MAX_DOCUMENT_BYTES), "a.json", [FLOWER])


@pytest.mark.parametrize(
    ("name", "photos", "index"),
    [
        ("flower.jpg", ["a.jpg", "flower.jpg"], 1),
        ("images/flower.jpg", ["a.jpg", "flower.jpg"], 1),
        ("C:\\data\\flower.jpg", ["a.jpg", "flower.jpg"], 1),
        ("flower.jpg", ["train/flower.jpg"], 0),
        ("Cafe\u0301.jpg", ["Caf\xe9.jpg"], 0),
        ("train/flower.jpg", ["val/flower.jpg", "train/flower.jpg"], 1),
        ("flower.jpg", ["val/flower.jpg", "train/flower.jpg"], None),
        ("flower.jpg", ["flower.jpg", "flower.jpg"], None),
        ("flower.png", ["flower.jpg"], None),
        ("", ["flower.jpg"], None),
    ],
)
def test_photos_are_found_by_their_names_where_these_are_unique(name, photos, index):
    imported = read_annotations(coco(name), "coco.json", [PhotoInfo(one, SIZE) for one in photos])
    assert list(imported.objects) == ([] if index is None else [index])
    assert imported.unmatched == ({name: 1} if index is None else {})


def test_two_photos_of_one_name_in_different_folders_are_left_to_the_user():
    data = coco("train/1.jpg", "val/1.jpg")
    photos = [PhotoInfo("1.jpg", SIZE), PhotoInfo("other.jpg", SIZE)]
    imported = read_annotations(data, "coco.json", photos)
    assert not imported.objects
    assert imported.unmatched == {"train/1.jpg": 1, "val/1.jpg": 1}
    imported = read_annotations(data, "coco.json", photos, {"train/1.jpg": 1, "x": 99, "y": -1})
    assert list(imported.objects) == [1]
    assert imported.unmatched == {"val/1.jpg": 1}


@pytest.mark.parametrize("make", [coco, lambda name, **more: labelme({}, name=name, **more)])
def test_a_photo_is_found_by_its_content_whatever_its_name(make):
    digest = "ab" * 32
    photos = [PhotoInfo("flower.jpg", SIZE), PhotoInfo("renamed.jpg", SIZE, digest)]
    data = make("flower.jpg", sha256=digest.upper())
    if make is coco:
        document = json.loads(data)
        data = json.dumps(document).encode()
    assert list(read_annotations(data, "x.json", photos).objects) == [1]
    other = make("flower.jpg", sha256=["no text"])
    assert list(read_annotations(other, "x.json", photos).objects) == [0]


def test_labelme_files_are_found_by_their_own_name_too():
    data = labelme({}, name="")
    assert list(read_annotations(data, "flower.json", [FLOWER]).objects) == [0]
    imported = read_annotations(data, "tree.json", [FLOWER])
    assert imported.unmatched == {"tree": 1}
    assert read_annotations(data, "tree.json", [FLOWER], {"tree": 0}).objects[0]


def test_the_size_of_the_file_counts_where_the_photo_is_not_open():
    photos = [PhotoInfo("flower.jpg")]
    known = labelme({}, imageHeight=60, imageWidth=80)
    assert read_annotations(known, "a.json", photos).objects[0][0].size_hw == (60, 80)
    for size, reason in (
        ({}, "objects of photos of unknown size"),
        ({"imageHeight": 10**6, "imageWidth": 10**6}, "objects of photos that are too large"),
    ):
        imported = read_annotations(labelme({}, {}, **size), "a.json", photos)
        assert imported.skipped == {reason: 2}


def test_a_photo_of_another_size_costs_only_itself():
    files = {
        "a.json": labelme({}, name="a.jpg", imageHeight=80, imageWidth=60),
        "b.json": labelme({}, name="b.jpg", imageHeight=61, imageWidth=80),
        "c.json": labelme({}, {}, name="c.jpg", imageHeight=60, imageWidth=80),
    }
    photos = [PhotoInfo(f"{one}.jpg", SIZE) for one in "abc"]
    imported = read_annotations(zipped(files), "all.zip", photos)
    assert {index: len(objects) for index, objects in imported.objects.items() if objects} == {2: 2}
    assert imported.skipped == {
        "objects of photos that the file has turned by 90 degrees": 1,
        "objects of photos of another size": 1,
    }


@pytest.mark.parametrize("kind", ["coco_rle", "coco_polygons", "labelme"])
@pytest.mark.parametrize("name", ["island 0", "parts 1", "at_the_border 2"])
def test_our_own_exports_come_back_to_the_pixel(kind, name):
    mask = fifty_masks()[name]
    photo = Photo(np.zeros((*mask.shape, 3), np.uint8))
    file_name, data = export_file(kind, photo, [PhotoObject("a", mask)], "flower (1).jpg")
    imported = read_annotations(data, file_name, [PhotoInfo("flower (1).jpg", mask.shape)])
    np.testing.assert_array_equal(imported.objects[0][0].mask, mask)
    assert not imported.skipped


def test_our_own_yolo_export_comes_back_with_its_names():
    masks = fifty_masks()
    names = ("disc 0", "ring 0", "island 0")
    objects = [PhotoObject(name, masks[name]) for name in names]
    photo = Photo(np.zeros((120, 160, 3), np.uint8))
    file_name, data = export_file("yolo", photo, objects, "flower (1).jpg")
    imported = read_annotations(data, file_name, [PhotoInfo("x/flower (1).jpg", (120, 160))])
    assert [item.name for item in imported.objects[0]] == list(names)
    for item in imported.objects[0]:
        assert iou(item.mask, masks[item.name]) >= 0.97
    assert not imported.skipped


@pytest.mark.parametrize(
    ("names_file", "content", "name"),
    [
        ("data.yaml", "names: [cat, 'dog: big']", "dog: big"),
        ("data.yml", "nc: 2\nnames:\n  - cat\n  - dog\n", "dog"),
        ("set/data.yaml", "path: x\nnames:\n  0: cat\n  1: dog # a comment\n", "dog"),
        ("classes.txt", "cat\r\ndog\r\n", "dog"),
        ("obj.names", "cat\ndog\n", "dog"),
        ("data.yaml", "names: {0: cat}", "class 1"),
        ("data.yaml", "names: {" * 50_000, "class 1"),
        ("data.yaml", "a: &a {names: 1}\n<<: *a\nnames: !!python/name:os.system [x]", "class 1"),
        ("data.yaml", "7", "class 1"),
        ("other.txt", "no labels\n", "class 1"),
    ],
)
def test_classes_of_yolo_labels_have_their_names(names_file, content, name):
    data = zipped({"labels/train/flower.txt": YOLO, names_file: content, "flower.jpg": b"photo"})
    imported = read_annotations(data, "set.zip", [FLOWER])
    (item,) = imported.objects[0]
    assert item.name == name
    expected = np.zeros(SIZE, bool)
    expected[10:31, 10:31] = True
    np.testing.assert_array_equal(item.mask, expected)


def test_names_that_refer_to_each_other_a_billion_times_take_no_time():
    levels = "".join(
        f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 30)
    )
    bomb = "a0: &a0 {x: 1}\n" + levels + "names: [a, b]\n"
    began = time.thread_time()
    imported = read_annotations(zipped({"flower.txt": YOLO, "data.yaml": bomb}), "a.zip", [FLOWER])
    assert [item.name for item in imported.objects[0]] == ["b"]
    assert time.thread_time() - began < 1


def test_lines_of_yolo_labels_that_are_no_polygons_are_counted():
    lines = [
        YOLO.strip(),
        YOLO.strip() + " 0.9",  # a confidence
        "0 0.5 0.5 0.2 0.2",
        "0 0.1 0.1 0.2 0.2 0.9",
        "0 0.1 x 0.2 0.2 0.3 0.3",
        "0 0.1 nan 0.2 0.2 0.3 0.3",
        "0 5 5 6 5 6 6",
        "dog 0.1 0.1 0.9 0.1 0.9 0.9",
    ]
    imported = read_annotations("\n".join(lines).encode(), "flower.txt", [FLOWER])
    assert [item.name for item in imported.objects[0]] == ["class 1", "class 1", "class dog"]
    assert imported.skipped == {
        "boxes without a mask": 2,
        "shapes with damaged coordinates": 2,
        "shapes outside the photo": 1,
    }
