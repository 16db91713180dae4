"""YOLO segmentation labels: a text file a photo and one data.yaml for all."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from mobilesam.errors import PromptError
from mobilesam.objects import PhotoObject, check_sizes
from mobilesam.polygons import joined_outline, mask_outlines

_WITHIN_PIXEL = 0.25
"""Added to a pixel's number: readers that round and readers that truncate both find the pixel."""

_MIN_VERTICES = 3


def yolo_labels(
    objects: Sequence[PhotoObject], size_hw: tuple[int, int], names: Sequence[str]
) -> str:
    """The label file of one photo: a line `class x1 y1 x2 y2 ...` an object, empty masks none.

    The format has one polygon an object. Holes are cut in by bridges that add no pixel; parts are
    joined by lines one pixel wide. That is all a reader gets wrong: a percent or two of parts of
    some size, but most of an object that is a few single pixels far apart.

    Args:
        objects: of the photo.
        size_hw: (H, W) of the photo, by which coordinates are divided.
        names: of all classes; a name's place is its class.

    Raises:
        PromptError: a mask is not of the photo's size, or a name is not in names.
    """
    check_sizes(objects, size_hw)
    return "".join(_line(item, names) for item in objects if item.mask.any())


def yolo_data_yaml(names: Sequence[str]) -> str:
    """data.yaml as ultralytics reads it, to lie beside the folders `images` and `labels`."""
    classes = (f"  {at}: {json.dumps(name, ensure_ascii=False)}" for at, name in enumerate(names))
    return "\n".join(["train: images", "val: images", "names:", *classes, ""])


def _line(item: PhotoObject, names: Sequence[str]) -> str:
    if item.name not in names:
        raise PromptError(f'"{item.name}" is not among the classes.')
    outline = joined_outline(mask_outlines(item.mask, "centres"))
    # With fewer than three vertices a line would be read as a box.
    missing = max(0, _MIN_VERTICES - len(outline))
    outline = np.concatenate([outline, outline[:1].repeat(missing, axis=0)])
    height, width = item.size_hw
    relative = (outline + _WITHIN_PIXEL) / (width, height)
    numbers = " ".join(f"{number:.6f}" for number in relative.ravel().tolist())
    return f"{names.index(item.name)} {numbers}\n"
