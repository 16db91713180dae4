"""Annotation files that are too large or take too long: bounds on time, memory and numbers."""

from __future__ import annotations

import base64
import gc
import json
import time
import tracemalloc
from collections import Counter

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mobilesam import PhotoObject, masks
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
from mobilesam.export.documents import MAX_DOCUMENT_BYTES
from mobilesam.export.yolo_reader import class_names
from mobilesam.images import Photo
from mobilesam.masks import mask_to_coco_rle
from mobilesam.polygons import clipped_polygon, rle_from_centres, rle_from_edges
from tests.annotations import FLOWER, SIZE, YOLO, coco, labelme, zipped
from tests.shapes import decoded


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
