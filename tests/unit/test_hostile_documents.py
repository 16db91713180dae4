"""Mask files that ask for far more than they weigh."""

from __future__ import annotations

import base64
import time
import tracemalloc

import numpy as np
import pytest

from mobilesam.export import documents, export_file, read_objects
from mobilesam.images import Photo
from tests.annotations import read
from tests.bad_files import png_chunk, png_of

SIDE = 1000
MANY = 300
ALL_BUT_ONE = {"size": [SIDE, SIDE], "counts": [1, SIDE * SIDE - 1]}
LINEAR_S = 3  # quadratic time takes over a minute
AFFORDABLE_BYTES = 40 * SIDE * SIDE


def coco(segmentation, count=1, category=1, categories=({"id": 1, "name": "a"},), side=SIDE):
    annotation = {"image_id": 1, "category_id": category, "segmentation": segmentation}
    return {
        "images": [{"id": 1, "file_name": "a.jpg", "height": side, "width": side}],
        "categories": list(categories),
        "annotations": [annotation] * count,
    }


def labelme(count):
    corners = [[0, 0], [SIDE - 1, SIDE - 1]]
    shape = {"label": "a", "shape_type": "rectangle", "points": corners}
    return {"shapes": [shape] * count, "imageHeight": SIDE, "imageWidth": SIDE}


@pytest.mark.slow
@pytest.mark.parametrize(
    "reader",
    [
        lambda: read(coco(ALL_BUT_ONE, MANY), (SIDE, SIDE))[0],
        lambda: read(labelme(MANY), (SIDE, SIDE))[0],
        lambda: read_objects([{"name": "a", "rle": ALL_BUT_ONE}] * MANY, (SIDE, SIDE)),
    ],
    ids=["coco", "labelme", "endpoint"],
)
def test_of_many_large_masks_one_at_a_time_is_in_memory(reader):
    """A file of 100 KB took a gigabyte."""
    tracemalloc.start()
    try:
        objects = reader()
        photo = Photo(np.zeros((SIDE, SIDE, 3), np.uint8))
        export_file("mask_png", photo, objects, "a.jpg")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(objects) == MANY
    assert peak < AFFORDABLE_BYTES


def test_ids_whose_hashes_collide_take_no_longer():
    """In a dict, integers that are equal modulo 2**61 - 1 take quadratic time."""
    categories = [{"id": number * (2**61 - 1), "name": "a"} for number in range(1, 30_001)]
    document = coco(ALL_BUT_ONE, category=2**61 - 1, categories=categories)
    began = time.thread_time()
    assert [item.name for item in read(document, (SIDE, SIDE))[0]] == ["a"]
    assert time.thread_time() - began < LINEAR_S


@pytest.mark.slow
def test_group_ids_whose_hashes_collide_take_no_longer():
    document = labelme(10_000)
    for number, shape in enumerate(document["shapes"]):
        document["shapes"][number] = {**shape, "group_id": number * (2**61 - 1)}
    began = time.thread_time()
    assert not read(document, (SIDE + 1, SIDE))[0]
    assert time.thread_time() - began < LINEAR_S


@pytest.mark.slow
def test_a_png_of_very_many_chunks_is_refused_early():
    png = png_of(SIDE, SIDE, *[png_chunk(b"prVt", b"")] * 300_000)
    document = labelme(1)
    document["shapes"][0] |= {"shape_type": "mask", "mask": base64.b64encode(png).decode()}
    began = time.thread_time()
    assert read(document, (SIDE, SIDE)) == ([], {"damaged masks": 1})
    assert time.thread_time() - began < LINEAR_S


def test_even_the_smallest_polygons_count(monkeypatch):
    monkeypatch.setattr(documents, "MAX_OUTLINE_PX", 100 * documents.MIN_OUTLINE_PX)
    polygon = [1, 1, 1, 1, 1, 1]
    document = coco([polygon] * 60, count=2)
    _, skipped = read(document, (SIDE, SIDE))
    assert skipped == {"empty masks": 2}
    monkeypatch.setattr(documents, "MAX_OUTLINE_PX", 60 * documents.MIN_OUTLINE_PX)
    _, skipped = read(document, (SIDE, SIDE))
    assert skipped == {"empty masks": 1, "polygons that are too long together": 1}
