"""Annotation files of other programs: what is read, what is skipped, and for which photo."""

from __future__ import annotations

import base64
import gc
import io
import json
import time
import tracemalloc
import zipfile
from collections import Counter

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mobilesam import AnnotationError, PhotoObject, masks
from mobilesam.cpu_budget import CpuBudget
from mobilesam.export import (
    PhotoInfo,
    documents,
    export_file,
    mask_png,
    read_annotations,
    reading,
    yolo_reader,
)
from mobilesam.export import annotation_files as files_module
from mobilesam.export.documents import MAX_DOCUMENT_BYTES
from mobilesam.export.yolo_reader import class_names
from mobilesam.images import Photo
from mobilesam.masks import mask_to_coco_rle
from mobilesam.polygons import clipped_polygon, rle_from_centres, rle_from_edges
from tests.serving import iou
from tests.shapes import decoded, fifty_masks

SIZE = (60, 80)
FLOWER = PhotoInfo("flower.jpg", SIZE)
SQUARE = [[10, 10], [30, 10], [30, 30], [10, 30]]


def labelme(*shapes: dict, name: str = "flower.jpg", **more: object) -> bytes:
    whole = [{"label": "cat", "shape_type": "polygon", "points": SQUARE, **one} for one in shapes]
    return json.dumps({"imagePath": name, "shapes": whole, **more}).encode()


def coco(*names: str, **more: object) -> bytes:
    """A photo of each name with one square."""
    images = [{"id": n, "file_name": name, **more} for n, name in enumerate(names)]
    polygon = np.array(SQUARE).ravel().tolist()
    annotations = [
        {"image_id": n, "category_id": 1, "segmentation": [polygon]} for n in range(len(names))
    ]
    categories = [{"id": 1, "name": "cat"}]
    return json.dumps(
        {"images": images, "annotations": annotations, "categories": categories}
    ).encode()


def zipped(files: dict[str, bytes | str], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


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


YOLO = "1 0.125 0.1667 0.375 0.1667 0.375 0.5 0.125 0.5\n"


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


def test_photos_archives_and_hidden_files_in_a_zip_are_ignored():
    inner = zipped({"flower.json": labelme({})})
    files = {
        "flower.json": labelme({}),
        "inner.zip": inner,
        "flower.jpg": b"\xff\xd8",
        "__MACOSX/._flower.json": b"\0\5",
        "../../flower.json": labelme({}),
        "broken.json": b"{",
        "other.json": b"{}",
        "folder.json/": b"",
    }
    imported = read_annotations(zipped(files), "all.zip", [FLOWER])
    assert len(imported.objects[0]) == 2
    assert imported.skipped == {"files without masks": 2}


def test_encrypted_and_damaged_members_are_counted():
    data = bytearray(zipped({"a.json": labelme({}), "b.json": labelme({}), "c.json": labelme({})}))
    photos = [FLOWER]
    first = data.index(b"PK\x01\x02")
    data[first + 8] |= 1  # the flag of an encrypted member
    second = data.index(b"b.json") + 40
    data[second : second + 9] = b"123456789"
    imported = read_annotations(bytes(data), "all.zip", photos)
    assert len(imported.objects[0]) == 1
    assert imported.skipped == {"encrypted files": 1, "damaged files": 1}


def test_unusual_compressions_are_not_used():
    data = zipped({"a.json": labelme({})}, zipfile.ZIP_LZMA)
    with pytest.raises(AnnotationError, match="contains no masks"):
        read_annotations(data, "all.zip", [FLOWER])


@pytest.mark.slow
def test_a_bomb_is_refused_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(files_module, "MAX_UNPACKED_BYTES", 10_000_000)
    embedded = b'{"imageData": "' + b"A" * 4_000_000 + b'", "shapes": []}'
    data = zipped({f"{n}.json": embedded for n in range(4)} | {"9.json": b"A" * 40_000_000})
    for bomb in (data, zipped({"9.json": b"A" * 40_000_000})):
        tracemalloc.start()
        try:
            with pytest.raises(AnnotationError, match=r"more than 10 MB\. Split"):
                read_annotations(bomb, "bomb.zip", [FLOWER])
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 30_000_000


def test_text_in_a_zip_is_limited_together():
    data = zipped({f"{n}.txt": b"0 " * 4_000_000 for n in range(3)})
    with pytest.raises(AnnotationError, match="more than 20 MB"):
        read_annotations(data, "a.zip", [FLOWER])


def test_a_zip_of_very_many_files_is_refused(monkeypatch):
    monkeypatch.setattr(files_module, "MAX_MEMBERS", 5)
    data = zipped({f"{n}.json": labelme({}) for n in range(6)})
    with pytest.raises(AnnotationError, match="more than 5 files"):
        read_annotations(data, "a.zip", [FLOWER])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04",
        b"PK\x05\x06" + b"\xff" * 18,
        b"PK",
        zipped({}),
        b"{}",
        b"\xff\xd8",
        b"[1",
    ],
    ids=["empty", "cut off", "no directory", "two letters", "empty zip", "object", "photo", "list"],
)
def test_a_file_without_annotations_gets_a_sentence(data):
    with pytest.raises(AnnotationError) as caught:
        read_annotations(data, "a.json", [FLOWER])
    assert len(str(caught.value)) < 200


def test_what_would_take_too_long_is_skipped():
    imported = read_annotations(labelme({}, {}), "flower.json", [FLOWER], None, CpuBudget(-1))
    assert imported.skipped == {"objects that would take too long": 2}


@pytest.mark.parametrize("seed", range(12))
def test_polygons_are_clipped_as_if_the_photo_were_larger(seed):
    random = np.random.default_rng(seed)
    angles = np.sort(random.uniform(0, 2 * np.pi, 9))
    star = random.uniform(0, 90, 2) + random.uniform(20, 90, (9, 1)) * np.stack(
        [np.cos(angles), np.sin(angles)], 1
    )
    clipped = clipped_polygon(star, -2, np.array([82.0, 62.0]))
    if not len(clipped):
        clipped = np.zeros((3, 2)) - 5
    assert (clipped >= -2.001).all() or (clipped == -5).all()
    padded = decoded(rle_from_edges([star + 200], (500, 500)))[200:260, 200:280]
    # pycocotools draws the steps of an edge from its vertices on, which clipping moves.
    assert (decoded(rle_from_edges([clipped], SIZE)) != padded).mean() <= 0.004
    canvas = np.zeros((500, 500), np.uint8)
    cv2.fillPoly(canvas, [np.floor(star + 200).astype(np.int32)], (1,))
    whole = canvas[200:260, 200:280].astype(bool)
    difference = decoded(rle_from_centres(clipped, SIZE)) != whole
    assert difference.sum() <= 0.012 * whole.size


@pytest.mark.slow
def test_hundreds_of_thousands_of_vertices_are_clipped_in_no_time():
    angles = np.linspace(0, 2 * np.pi, 200_000)
    radii = 40 + 3000 * (np.arange(200_000) % 2)
    burr = (np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None] + 40).round(2)
    shape = {"points": burr.tolist()}
    began = time.thread_time()
    imported = read_annotations(labelme(shape), "flower.json", [FLOWER])
    assert time.thread_time() - began < 3
    assert sum(imported.skipped.values()) + len(imported.objects[0]) == 1


@pytest.mark.slow
def test_hundreds_of_thousands_of_labels_are_counted_in_no_time():
    began = time.thread_time()
    data = b"0 0.1 0.1 0.2 0.1 0.2 0.2\n" * 300_000
    imported = read_annotations(data, "flower.txt", [FLOWER])
    assert len(imported.objects[0]) == 1000
    assert imported.skipped == {"objects beyond the limit": 299_000}
    assert time.thread_time() - began < 5


LARGE = (3000, 4000)


def a_thousand(kind: str) -> tuple[bytes, list[tuple[int, int]]]:
    """A file of 1,000 quadrilaterals in a photo of 12 megapixels, and their upper left corners."""
    corners = [(130 * (n % 30), 85 * (n // 30)) for n in range(1000)]
    squares = [[[x, y], [x + 99, y], [x + 99, y + 79], [x, y + 79]] for x, y in corners]
    flat = [np.array(square).ravel().tolist() for square in squares]
    if kind == "yolo":
        shares = (np.array(flat) + 0.5) / np.tile(LARGE[::-1], 4)
        return "\n".join(
            f"0 {' '.join(map(str, row))}" for row in shares.tolist()
        ).encode(), corners
    if kind.startswith("labelme"):
        more = {"shape_type": "rectangle"} if kind == "labelme rectangles" else {}
        ends = slice(None, None, 2) if more else slice(None)
        shapes = [{"points": square[ends], **more} for square in squares]
        return labelme(*shapes), corners
    document = json.loads(coco("flower.jpg"))
    segmentations = [[row] for row in flat]
    if kind == "coco rle":
        segmentations = [coco_mask.frPyObjects(one, *LARGE)[0] for one in segmentations]
        segmentations = [{**one, "counts": one["counts"].decode()} for one in segmentations]
    (row,) = document["annotations"]
    document["annotations"] = [{**row, "segmentation": one} for one in segmentations]
    return json.dumps(document).encode(), corners


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["coco rle", "coco polygons", "labelme polygons", "labelme rectangles", "yolo"]
)
def test_a_thousand_objects_of_a_photo_of_12_megapixels_are_read(kind):
    data, corners = a_thousand(kind)
    name = "flower.txt" if kind == "yolo" else "flower.json"
    began = time.thread_time()
    imported = read_annotations(data, name, [PhotoInfo("flower.jpg", LARGE)])
    assert time.thread_time() - began < 4
    objects = imported.objects[0]
    assert not imported.skipped
    assert [item.crop()[0] for item in objects] == corners
    height_width = (79, 99) if kind.startswith("coco") else (80, 100)
    assert {item.crop()[1].shape for item in objects} == {height_width}
    assert {item.area for item in objects} == {height_width[0] * height_width[1]}


def test_pictures_of_masks_have_a_limit_together_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(documents, "MAX_MASK_PIXELS", 3 * 48 * 64)
    mask = np.zeros(SIZE, bool)
    mask[5:53:2, 7:71] = mask[5:53, 7:71:63] = True  # a box of 48 x 64, with holes
    photo = Photo(np.zeros((*SIZE, 3), np.uint8))
    _, data = export_file("labelme", photo, [PhotoObject("a", mask)] * 5, "flower.jpg")
    imported = read_annotations(data, "flower.json", [FLOWER])
    assert [np.array_equal(item.mask, mask) for item in imported.objects[0]] == [True] * 3
    assert imported.skipped == {"masks that are too large together": 2}


def test_endless_names_of_photos_are_cut():
    imported = read_annotations(coco("a/" * 100_000 + "tree.jpg"), "coco.json", [FLOWER])
    (name,) = imported.unmatched
    assert len(name) == 1000
    assert read_annotations(
        coco("a/" * 100_000 + "tree.jpg"), "coco.json", [FLOWER], {name: 0}
    ).objects[0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["polygons", "rle"])
def test_a_data_set_of_50_000_annotations_is_read(kind):
    """As large as a document may be, in compact JSON; the RLEs are those of noise."""
    document = json.loads(coco("flower.jpg", *(f"{n}.jpg" for n in range(2000))))
    random = np.random.default_rng(4)
    noise = mask_to_coco_rle(random.random((22, 22)) < 0.5)
    polygon = random.integers(0, 1000, 76).tolist()
    segmentation = {"polygons": [polygon], "rle": noise}[kind]
    row = {"image_id": 1, "category_id": 1, "iscrowd": 0, "area": 99, "bbox": [1, 2, 30, 40]}
    document["annotations"] += [
        {**row, "id": n, "segmentation": segmentation} for n in range(50_000)
    ]
    data = json.dumps(document, separators=(",", ":")).encode()
    assert 15_000_000 < len(data) <= MAX_DOCUMENT_BYTES
    imported = read_annotations(data, "a.json", [FLOWER])
    assert len(imported.objects[0]) == 1
    assert imported.unmatched["0.jpg"] == 50_001
    assert not imported.skipped


MARKS = "\u0301\u0327" * 15_000  # NFC sorts them, in quadratic time


def test_endless_names_of_members_and_photos_take_no_time():
    data = zipped({f"{n}{MARKS}.txt": YOLO for n in range(3)})
    photos = [PhotoInfo(f"{n}{MARKS}", SIZE) for n in range(300)]
    began = time.thread_time()
    read_annotations(data, f"{MARKS}.zip", photos)
    read_annotations(coco(*(f"{n}{MARKS}" for n in range(20))), "a.json", photos)
    assert time.thread_time() - began < 1


def test_a_path_that_is_cut_is_still_found():
    path = "a/" * 1000 + "flower.jpg"
    assert read_annotations(coco(path), "a.json", [FLOWER]).objects[0]
    assert read_annotations(zipped({"b/" * 900 + "flower.txt": YOLO}), "a.zip", [FLOWER]).objects[0]


def test_only_the_lists_of_classes_that_are_needed_are_read(monkeypatch):
    read = []

    def counted(content, name):
        read.append(name)
        return class_names(content, name)

    monkeypatch.setattr(reading, "class_names", counted)
    files = {f"{n}/data.yaml": f"names: [a{n}, b{n}]" for n in range(20)}
    files |= {"dvc.yaml": "stages: {}"}
    imported = read_annotations(zipped({**files, "flower.txt": YOLO}), "a.zip", [FLOWER])
    assert imported.objects[0][0].name == "b19"
    assert read == ["dvc.yaml", "data.yaml"]
    read.clear()
    read_annotations(zipped({**files, "flower.json": labelme({})}), "a.zip", [FLOWER])
    assert read == []


def test_lists_of_classes_count_for_the_budget_and_have_a_size(monkeypatch):
    read = []
    monkeypatch.setattr(reading, "class_names", lambda *_: read.append(1) or {})
    files = {f"{n}.yaml": "names: 1" for n in range(5)}
    data = zipped({**files, "flower.txt": YOLO, "tree.txt": YOLO})
    imported = read_annotations(data, "a.zip", [FLOWER], None, CpuBudget(-1))
    assert read == []
    assert imported.skipped == {
        "files that would take too long": 1,
        "objects that would take too long": 1,
    }
    long = zipped({"data.yaml": "names: [" + "a," * 60_000 + "]", "flower.txt": YOLO})
    imported = read_annotations(long, "a.zip", [FLOWER])
    assert read == []
    assert imported.skipped == {"lists of classes that are too long": 1}


def test_lines_of_labels_beyond_the_limit_take_no_memory(monkeypatch):
    monkeypatch.setattr(reading, "MAX_ROWS", 1000)
    tracemalloc.start()
    try:
        imported = read_annotations(b"\n0" * 100_000, "a.txt", [PhotoInfo("a.jpg", (10, 10))])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert imported.skipped["objects beyond the limit"] == 99_000
    assert peak < 2_000_000


@pytest.mark.parametrize("kind", ["labelme", "coco", "yolo"])
def test_polygons_of_too_many_vertices_are_skipped(kind, monkeypatch):
    content = {
        "labelme": labelme({}),
        "coco": coco("flower.jpg"),
        "yolo": YOLO.encode(),
    }[kind]
    name = "flower.txt" if kind == "yolo" else "flower.json"
    for most, count in ((4, 1), (3, 0)):
        monkeypatch.setattr(documents, "MAX_VERTICES", most)
        monkeypatch.setattr(yolo_reader, "MAX_VERTICES", most)
        imported = read_annotations(content, name, [FLOWER])
        assert len(imported.objects[0]) == count
    assert imported.skipped == {"polygons that are too long together": 1}


def test_a_label_of_very_many_numbers_is_not_split_into_all_of_them(monkeypatch):
    monkeypatch.setattr(documents, "MAX_VERTICES", 10)
    monkeypatch.setattr(yolo_reader, "MAX_VERTICES", 10)
    data = b"0" + b" .5" * 300_000
    tracemalloc.start()
    try:
        imported = read_annotations(data, "flower.txt", [FLOWER])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert imported.skipped == {"polygons that are too long together": 1}
    assert peak < 8_000_000


@pytest.mark.parametrize("kind", ["labelme", "coco", "yolo"])
def test_rows_of_all_files_beyond_a_limit_are_counted_and_not_kept(kind, monkeypatch):
    monkeypatch.setattr(reading, "MAX_ROWS", 10)
    content = {
        "labelme": labelme(*[{}] * 7),
        "coco": coco(*["flower.jpg"] * 4),  # four photos and four annotations
        "yolo": (YOLO.strip() + "\n").encode() * 7,
    }[kind]
    suffix = "txt" if kind == "yolo" else "json"
    data = zipped({f"{n}.{suffix}": content for n in range(3)})
    skipped: Counter[str] = Counter()
    found = reading.annotated_photos(data, "a.zip", skipped)
    if kind == "coco":
        assert [len(photo.shapes) for photo in found] == [1, 1, 1, 1, 0, 0]
        assert skipped == {
            "photos beyond the limit": 2 + 4,
            "objects beyond the limit": 4 + 4,
        }
    else:
        assert [len(photo.shapes) for photo in found] == [7, 3, 0]
        assert skipped == {"objects beyond the limit": 4 + 7}


def test_the_masks_of_all_photos_have_a_limit_together(monkeypatch):
    data = zipped({f"{n}.json": labelme({}, name=f"{n}.jpg") for n in range(3)})
    photos = [PhotoInfo(f"{n}.jpg", SIZE) for n in range(3)]
    objects = read_annotations(data, "a.zip", photos).objects
    length = len(objects[0][0].rle["counts"])
    monkeypatch.setattr(reading, "MAX_COUNTS", 2 * length)
    imported = read_annotations(data, "a.zip", photos)
    assert [len(imported.objects[n]) for n in range(3)] == [1, 1, 0]
    assert imported.skipped == {"masks that are too long together": 1}


@pytest.mark.parametrize("kind", ["coco", "labelme"])
def test_the_parts_of_one_object_count_for_the_budget(kind, monkeypatch):
    """The budget is spent when three of the parts have been read."""
    calls = []
    read = documents.ObjectReader.polygon
    monkeypatch.setattr(
        documents.ObjectReader, "polygon", lambda *args: calls.append(1) or read(*args)
    )

    class Budget(CpuBudget):
        @property
        def is_spent(self) -> bool:
            return len(calls) >= 3

    imported = read_annotations(of_many_parts(kind, 50), "flower.json", [FLOWER], None, Budget(60))
    assert len(calls) == 3
    assert imported.skipped == {"objects that would take too long": 1}
    assert not imported.objects[0]


@pytest.mark.parametrize("kind", ["coco", "labelme"])
def test_of_one_object_no_part_beyond_the_length_of_polygons_is_clipped(kind, monkeypatch):
    calls = []
    clip = documents.clipped_polygon
    monkeypatch.setattr(documents, "clipped_polygon", lambda *args: calls.append(1) or clip(*args))
    monkeypatch.setattr(documents, "MAX_OUTLINE_PX", 2 * 80)
    imported = read_annotations(of_many_parts(kind, 50), "flower.json", [FLOWER])
    assert len(calls) == 3
    assert len(imported.objects[0]) == 1
    assert not imported.skipped


def test_masks_that_are_refused_leave_no_arrays_behind(monkeypatch):
    """An error in a variable forms a cycle with its traceback, which keeps the masks alive."""
    monkeypatch.setattr(masks, "MAX_RLE_LENGTH", 1000)
    mask = base64.b64encode(mask_png(np.indices((1000, 1000)).sum(axis=0) % 2 == 0)).decode()
    shape = {"shape_type": "mask", "points": [[0, 0], [999, 999]], "mask": mask}
    data = labelme(*[shape] * 10)
    gc.disable()
    tracemalloc.start()
    try:
        imported = read_annotations(data, "flower.json", [PhotoInfo("flower.jpg", (1000, 1000))])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.enable()
    assert imported.skipped == {"damaged masks": 10}
    assert peak < 6_000_000


def of_many_parts(kind: str, count: int) -> bytes:
    """A file with one object: the square, many times."""
    if kind == "labelme":
        return labelme(*[{"group_id": 1}] * count)
    document = json.loads(coco("flower.jpg"))
    document["annotations"][0]["segmentation"] *= count
    return json.dumps(document).encode()
