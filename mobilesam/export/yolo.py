"""YOLO segmentation labels: one text file per photo, and data.yaml for all of them."""

import json
from collections.abc import Iterable, Sequence

import numpy as np

from mobilesam.export.classes import ClassList
from mobilesam.export.outlines import object_outlines
from mobilesam.objects import PhotoObject
from mobilesam.polygons import joined_outline

_WITHIN_PIXEL = 0.25  # is added, so that readers that round or truncate find the same pixel


def yolo_labels(
    objects: Sequence[PhotoObject],
    size_hw: tuple[int, int],
    classes: ClassList,
    tolerance: float = 0.0,
) -> str:
    """The label file of one photo: a line `class x1 y1 x2 y2 ...` per object with a mask.

    The format has one polygon per object. Holes are connected by bridges that add no pixel; parts
    are joined by lines one pixel wide. These lines are the only error: one or two percent for
    parts of some size, but most of an object that consists of single pixels far apart.

    `size_hw` is the (H, W) of the photo; names that are not among `classes` are appended to them.
    Polygons are simplified by `tolerance` pixels.
    """
    return "".join(_line(item, size_hw, classes, tolerance) for item in objects if item.area)


def yolo_data_yaml(
    class_names: Iterable[str], train: str = "images", val: str = "images", test: str | None = None
) -> str:
    """data.yaml for ultralytics, to be placed beside the folders `images` and `labels`.

    `train`, `val` and `test` are the folders of photos. There is no `path`: ultralytics would look
    for a relative one in the folder of its settings, and without one it takes that of the file.
    """
    folders = [f"train: {train}", f"val: {val}", *([f"test: {test}"] if test else [])]
    quoted = (json.dumps(name, ensure_ascii=False) for name in class_names)
    classes = (f"  {index}: {name}" for index, name in enumerate(quoted))
    return "\n".join([*folders, "names:", *classes, ""])


def _line(item: PhotoObject, size_hw: tuple[int, int], classes: ClassList, tolerance: float) -> str:
    outline = joined_outline(object_outlines(item, "centres", tolerance))
    # Readers take a line with fewer than three vertices for a box.
    outline = np.concatenate([outline, outline[:1].repeat(max(0, 3 - len(outline)), axis=0)])
    height, width = size_hw
    normalised = (outline + _WITHIN_PIXEL) / (width, height)
    coordinates = " ".join(f"{number:.6f}" for number in normalised.ravel().tolist())
    return f"{classes.id_of(item.name) - 1} {coordinates}\n"
