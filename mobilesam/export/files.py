"""Exports the objects of a photo as one file in any of the supported formats."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TypeAlias

import numpy as np

from mobilesam.errors import PromptError
from mobilesam.export.coco import coco_document, coco_photo
from mobilesam.export.documents import json_bytes
from mobilesam.export.file_names import photo_file_name, safe_file_stem
from mobilesam.export.labelme import labelme_document
from mobilesam.export.pictures import cutouts_zip, index_png, mask_png
from mobilesam.export.yolo import yolo_data_yaml, yolo_labels
from mobilesam.images import Photo
from mobilesam.masks import Mask, mask_bounds_xyxy
from mobilesam.objects import PhotoObject, check_sizes
from mobilesam.polygons import count_parts_and_holes
from mobilesam.settings import MEGA

MAX_CUTOUT_PIXELS = 64 * MEGA
"""Pixels of all cut-outs in a ZIP together; a pixel takes up to four bytes."""

MAX_EDGES = 2 * MEGA
"""Pixel edges of all masks together that polygons may follow; real objects have thousands."""

MAX_OUTLINES = 1000
"""Parts and holes of one mask that polygons may follow; real objects have a few."""

_Objects: TypeAlias = Sequence[PhotoObject]


def export_file(
    file_format: str, photo: Photo, objects: _Objects, photo_name: str
) -> tuple[str, bytes]:
    """Exports objects as a file.

    Args:
        file_format: one of FILE_FORMATS. `"mask_png"` is the union of all masks; `"yolo"` a ZIP of
            data.yaml and the label file.
        photo: the upright photo.
        objects: of the photo, at least one.
        photo_name: the photo's file name. Annotation files refer to it, and the exported file is
            named after it.

    Returns:
        A file name that is safe on every system, and the file's content.

    Raises:
        PromptError: the format is unknown, there are no objects, they have another size than the
            photo, all masks are empty, or the file would be too large or take too long.
    """
    if file_format not in FILE_FORMATS:
        raise PromptError(f"The format must be one of {', '.join(FILE_FORMATS)}.")
    if not objects:
        raise PromptError("There are no objects yet. Add one first.")
    check_sizes(objects, photo.size_hw)
    if not any(item.mask.any() for item in objects):
        raise PromptError("All masks are empty, so there is nothing to export.")
    name = photo_file_name(photo_name)
    suffix, make = _MAKERS[file_format]
    return f"{safe_file_stem(PurePosixPath(name).stem)}-{suffix}", make(photo, objects, name)


def _mask(_photo: Photo, objects: _Objects, _name: str) -> bytes:
    union = np.zeros(objects[0].size_hw, bool)
    for item in objects:  # one at a time: all masks of a large photo would take gigabytes
        union |= item.mask
    return mask_png(union)


def _index(_photo: Photo, objects: _Objects, _name: str) -> bytes:
    return index_png(objects)


def _cutouts(photo: Photo, objects: _Objects, _name: str) -> bytes:
    if sum(_bounds_area(item.mask) for item in objects) > MAX_CUTOUT_PIXELS:
        raise PromptError(
            "The cut-outs are too large for one file. Export fewer objects at a time."
        )
    return cutouts_zip(photo, objects)


def _coco_rle(photo: Photo, objects: _Objects, name: str) -> bytes:
    return json_bytes(coco_document([coco_photo(name, photo.size_hw, objects)]))


def _coco_polygons(photo: Photo, objects: _Objects, name: str) -> bytes:
    _check_polygon_cost(objects)
    return json_bytes(coco_document([coco_photo(name, photo.size_hw, objects, "polygons")]))


def _labelme(photo: Photo, objects: _Objects, name: str) -> bytes:
    _check_polygon_cost(objects)
    return json_bytes(labelme_document(name, photo.size_hw, objects))


def _yolo(photo: Photo, objects: _Objects, name: str) -> bytes:
    """data.yaml and labels/<stem>.txt, where YOLO looks for the labels of images/<photo>."""
    _check_polygon_cost(objects)
    class_names = list(dict.fromkeys(item.name for item in objects))
    labels = yolo_labels(objects, photo.size_hw, class_names)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        # A ZipInfo has a fixed date, so that equal objects give equal archives.
        archive.writestr(zipfile.ZipInfo("data.yaml"), yolo_data_yaml(class_names))
        label_file = zipfile.ZipInfo(f"labels/{PurePosixPath(name).stem}.txt")
        archive.writestr(label_file, labels, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


_MAKERS: Mapping[str, tuple[str, Callable[[Photo, _Objects, str], bytes]]] = {
    "mask_png": ("mask.png", _mask),
    "index_png": ("index.png", _index),
    "cutouts_zip": ("cutouts.zip", _cutouts),
    "coco_rle": ("coco.json", _coco_rle),
    "coco_polygons": ("coco-polygons.json", _coco_polygons),
    "yolo": ("yolo.zip", _yolo),
    "labelme": ("labelme.json", _labelme),
}
FILE_FORMATS = tuple(_MAKERS)


def _check_polygon_cost(objects: _Objects) -> None:
    """Checks that the polygons of all masks can be traced within a few seconds."""
    edges = sum(_count_edges(item.mask) for item in objects)
    outlines = max(sum(count_parts_and_holes(item.mask)) for item in objects)
    if edges > MAX_EDGES or outlines > MAX_OUTLINES:
        raise PromptError("These masks are too ragged for polygons. Export them as coco_rle.")


def _count_edges(mask: Mask) -> int:
    """The number of pairs of adjacent pixels that differ."""
    horizontal = np.count_nonzero(mask[:, 1:] != mask[:, :-1])
    return int(horizontal + np.count_nonzero(mask[1:] != mask[:-1]))


def _bounds_area(mask: Mask) -> int:
    x0, y0, x1, y1 = mask_bounds_xyxy(mask)
    return (x1 - x0) * (y1 - y0)
