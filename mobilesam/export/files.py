"""Objects of a photo as one file to download, whatever its format."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TypeAlias

import numpy as np

from mobilesam.errors import PromptError
from mobilesam.export.coco import coco_document, coco_photo
from mobilesam.export.documents import Fields
from mobilesam.export.file_names import photo_file_name, safe_file_stem
from mobilesam.export.labelme import labelme_document
from mobilesam.export.pictures import cutouts_zip, index_png, mask_png
from mobilesam.export.yolo import yolo_data_yaml, yolo_labels
from mobilesam.images import Photo
from mobilesam.masks import mask_bounds_xyxy
from mobilesam.objects import PhotoObject, check_sizes
from mobilesam.polygons import count_outlines
from mobilesam.settings import MEGA

MAX_CUTOUT_PIXELS = 64 * MEGA
"""Of all cut-outs of a ZIP together; each takes four bytes where the photo is noise."""

MAX_EDGES = 2 * MEGA
"""Pixel edges of all masks together that polygons may follow; a photo's objects have thousands."""

MAX_OUTLINES = 1000
"""Parts and holes of one mask that polygons may follow; a photo's objects have a few."""

_Objects: TypeAlias = Sequence[PhotoObject]


def export_file(
    file_format: str, photo: Photo, objects: _Objects, photo_name: str
) -> tuple[str, bytes]:
    """The objects as a file.

    Args:
        file_format: one of FILE_FORMATS. `"mask_png"` is one black and white picture of all
            objects together, `"yolo"` a ZIP of data.yaml and the label file.
        photo: the upright photo.
        objects: of the photo, one or more.
        photo_name: the photo's file name; annotation files refer to it, and the file's own name
            begins with its letters and digits.

    Returns:
        A file name that is safe on any system, and what is in the file.

    Raises:
        PromptError: there is no such format, there are no objects or they are of another size,
            all masks are empty, or the file would be too large or take too long.
    """
    if file_format not in FILE_FORMATS:
        raise PromptError(f"The format is one of {', '.join(FILE_FORMATS)}.")
    if not objects:
        raise PromptError("There are no objects yet; keep one first.")
    check_sizes(objects, photo.size_hw)
    if not any(item.mask.any() for item in objects):
        raise PromptError("All masks are empty, so there is nothing to export.")
    name = photo_file_name(photo_name)
    ending, make = _MAKERS[file_format]
    stem = safe_file_stem(PurePosixPath(name).stem)
    return f"{stem}-{ending}", make(photo, objects, name)


def _mask(_photo: Photo, objects: _Objects, _name: str) -> bytes:
    together = np.zeros(objects[0].size_hw, bool)
    for item in objects:  # one after the other: all masks of a large photo would be gigabytes
        together |= item.mask
    return mask_png(together)


def _index(_photo: Photo, objects: _Objects, _name: str) -> bytes:
    return index_png(objects)


def _cutouts(photo: Photo, objects: _Objects, _name: str) -> bytes:
    if sum(map(_bounds_area, objects)) > MAX_CUTOUT_PIXELS:
        raise PromptError("The cut-outs are too large for one file; export fewer at a time.")
    return cutouts_zip(photo, objects)


def _coco_rle(photo: Photo, objects: _Objects, name: str) -> bytes:
    return _json(coco_document([coco_photo(name, photo.size_hw, objects, "rle")]))


def _coco_polygons(photo: Photo, objects: _Objects, name: str) -> bytes:
    _check_edges(objects)
    return _json(coco_document([coco_photo(name, photo.size_hw, objects, "polygons")]))


def _labelme(photo: Photo, objects: _Objects, name: str) -> bytes:
    _check_edges(objects)
    return _json(labelme_document(name, photo.size_hw, objects))


def _yolo(photo: Photo, objects: _Objects, name: str) -> bytes:
    """data.yaml and labels/<the photo's stem>.txt, as YOLO finds them beside images/<photo>."""
    _check_edges(objects)
    names = list(dict.fromkeys(item.name for item in objects))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        # ZipInfos of their own date: equal objects make equal files.
        archive.writestr(zipfile.ZipInfo("data.yaml"), yolo_data_yaml(names))
        label_file = zipfile.ZipInfo(f"labels/{PurePosixPath(name).stem}.txt")
        labels = yolo_labels(objects, photo.size_hw, names)
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


def _check_edges(objects: _Objects) -> None:
    """Checks that polygons round the masks can be made in a few seconds."""
    ragged = sum(map(_edges, objects)) > MAX_EDGES
    if ragged or any(count_outlines(item.mask) > MAX_OUTLINES for item in objects):
        raise PromptError("These masks are too ragged for polygons; export them as coco_rle.")


def _json(document: Fields) -> bytes:
    return json.dumps(document, allow_nan=False).encode("ascii") + b"\n"


def _edges(item: PhotoObject) -> int:
    """How many neighbours, above or beside each other, differ in the mask."""
    mask = item.mask
    beside = np.count_nonzero(mask[:, 1:] != mask[:, :-1])
    return int(beside + np.count_nonzero(mask[1:] != mask[:-1]))


def _bounds_area(item: PhotoObject) -> int:
    x0, y0, x1, y1 = mask_bounds_xyxy(item.mask)
    return (x1 - x0) * (y1 - y0)
