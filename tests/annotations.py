"""Annotation files in tests: made ones, and what becomes of one photo."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest

from mobilesam.export import PhotoInfo, read_annotations
from mobilesam.objects import PhotoObject

PHOTO = "a.jpg"
SIZE = (60, 80)
FLOWER = PhotoInfo("flower.jpg", SIZE)
SQUARE = [[10, 10], [30, 10], [30, 30], [10, 30]]
YOLO = "1 0.125 0.1667 0.375 0.1667 0.375 0.5 0.125 0.5\n"


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


def read(
    document: object, size_hw: tuple[int, int], name: str = PHOTO
) -> tuple[list[PhotoObject], Counter[str]]:
    """The objects of one photo in a document, and what is skipped."""
    data = json.dumps(document).encode()
    assign = {"": 0, "a": 0}
    imported = read_annotations(data, "a.json", [PhotoInfo(name, size_hw)], assign)
    return imported.objects.get(0, []), imported.skipped


def cases(names: Iterable[str]) -> list[object]:
    """Names for `parametrize`: those of polygons that are too long take seconds."""
    slow = [pytest.mark.slow]
    return [pytest.param(name, marks=slow if "too long" in name else []) for name in names]
