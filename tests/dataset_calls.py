"""Calls of the server function by which the page writes a data set."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

SIZE = [40, 60]
GONE = "no longer has this data set"


def rle(left=10, right=30):
    mask = np.zeros(SIZE, np.uint8, order="F")
    mask[5:20, left:right] = 1
    encoded = coco_mask.encode(mask)
    return {"size": SIZE, "counts": encoded["counts"].decode()}


def sent(name="a.jpg", objects=None, **more):
    objects = [{"name": "cat", "rle": rle(), "predicted_iou": 0.5}] if objects is None else objects
    return {"name": name, "size": SIZE, "objects": objects, **more}


def begin(ask, photos=3, file_format="yolo", **more):
    keys = [f"photo {number}" for number in range(photos)]
    return ask(format=file_format, photos=keys, **more)["dataset"]


def content(reply):
    with zipfile.ZipFile(reply["path"]) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def photo_of(tmp_path_factory, name="photo.jpg") -> Path:
    path = tmp_path_factory.mktemp("user") / name
    Image.new("RGB", SIZE[::-1], "#123456").save(path)
    return path


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]
