"""YOLO segmentation labels: one text file per photo, and data.yaml for all of them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from mobilesam.objects import PhotoObject
from mobilesam.polygons import joined_outline, mask_outlines

_WITHIN_PIXEL = 0.25
"""Added to pixel indices, so that readers that round and readers that truncate find the pixel."""

_MIN_VERTICES = 3


def yolo_labels(
    objects: Sequence[PhotoObject], size_hw: tuple[int, int], class_names: Sequence[str]
) -> str:
    """The label file of one photo: a line `class x1 y1 x2 y2 ...` per object with a mask.

    The format has one polygon per object. Holes are connected by bridges that add no pixel; parts
    are joined by lines one pixel wide. These lines are the only error: one or two percent for
    parts of some size, but most of an object that consists of single pixels far apart.

    Args:
        objects: of the photo; those with an empty mask are skipped.
        size_hw: (H, W) of the photo, which normalises the coordinates.
        class_names: of all objects, in the order of the class indices.
    """
    return "".join(_line(item, size_hw, class_names) for item in objects if item.mask.any())


def yolo_data_yaml(class_names: Sequence[str]) -> str:
    """data.yaml for ultralytics, to be placed beside the folders `images` and `labels`."""
    classes = (
        f"  {index}: {json.dumps(name, ensure_ascii=False)}"
        for index, name in enumerate(class_names)
    )
    return "\n".join(["train: images", "val: images", "names:", *classes, ""])


def _line(item: PhotoObject, size_hw: tuple[int, int], class_names: Sequence[str]) -> str:
    outline = joined_outline(mask_outlines(item.mask, "centres"))
    # Readers take a line with fewer than three vertices for a box.
    missing = max(0, _MIN_VERTICES - len(outline))
    outline = np.concatenate([outline, outline[:1].repeat(missing, axis=0)])
    height, width = size_hw
    normalised = (outline + _WITHIN_PIXEL) / (width, height)
    coordinates = " ".join(f"{number:.6f}" for number in normalised.ravel().tolist())
    return f"{class_names.index(item.name)} {coordinates}\n"
