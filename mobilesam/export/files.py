"""Exports the objects of a photo as one file in any of the supported formats."""

import io
import json
import zipfile
from collections.abc import Iterable, Sequence

import numpy as np

from mobilesam.errors import PromptError
from mobilesam.export.coco import CocoPhoto, coco_annotation, coco_document
from mobilesam.export.documents import JsonObject
from mobilesam.export.labelme import labelme_document
from mobilesam.export.names import export_file_name, photo_file_name, safe_file_name
from mobilesam.export.pictures import cutout_png, index_png, mask_png
from mobilesam.export.yolo import yolo_data_yaml, yolo_labels
from mobilesam.images import Photo
from mobilesam.masks import mask_to_json
from mobilesam.objects import PhotoObject, check_sizes, union_mask
from mobilesam.polygons import count_parts_and_holes
from mobilesam.settings import MEGA

MAX_CUTOUT_PIXELS = 64 * MEGA  # of all cut-outs in a ZIP; a pixel takes up to four bytes
MAX_EDGES = 2 * MEGA  # pixel edges of all masks that polygons follow; real objects have thousands
MAX_OUTLINES = 1000  # parts and holes of one mask; real objects have a few
_SUFFIXES = {
    "mask_png": "-masks.png",
    "index_png": "-index.png",
    "cutouts_zip": "-cutouts.zip",
    "coco_rle": "-coco.json",
    "coco_polygons": "-coco-polygons.json",
    "yolo": "-yolo.zip",
    "labelme": ".json",  # labelme looks for this name beside the photo
}
FILE_FORMATS = tuple(_SUFFIXES)


def export_file(
    file_format: str,
    photo: Photo,
    objects: Sequence[PhotoObject],
    photo_name: str,
    soft: bool = False,
) -> tuple[str, bytes]:
    """Exports one or more objects of a photo as a file, in one of FILE_FORMATS.

    `"mask_png"` is the union of all masks; `"yolo"` a ZIP of data.yaml and the label file.
    `photo_name` is the photo's file name, for annotation files and the name of the exported file.
    `soft` gives cut-outs soft edges, see `cutout_png`.
    Returns a file name that is safe on every system, and the file's content.

    Raises:
        PromptError: the format is unknown, the objects are missing, empty or of another size, or
            the file would be too large or take too long.
    """
    if file_format not in FILE_FORMATS:
        raise PromptError(f"The format must be one of {', '.join(FILE_FORMATS)}.")
    if not objects:
        raise PromptError("There are no objects yet. Add one first.")
    check_sizes(objects, photo.size_hw)
    if not any(item.area for item in objects):
        raise PromptError("All masks are empty, so there is nothing to export.")
    name = photo_file_name(photo_name)
    file_name = export_file_name(name, _SUFFIXES[file_format])
    return file_name, _content(file_format, photo, objects, name, soft)


def _content(
    file_format: str, photo: Photo, objects: Sequence[PhotoObject], photo_name: str, soft: bool
) -> bytes:
    if file_format in ("coco_polygons", "yolo", "labelme"):
        _check_polygon_cost(objects)
    match file_format:
        case "mask_png":
            return mask_png(union_mask(objects))
        case "index_png":
            return index_png(objects)
        case "cutouts_zip":
            return _cutouts_zip(photo, objects, soft)
        case "yolo":
            # YOLO looks for the labels of images/<photo> in labels/<stem>.txt.
            class_names = list(dict.fromkeys(item.name for item in objects))
            labels = yolo_labels(objects, photo.size_hw, class_names)
            label_file = f"labels/{export_file_name(photo_name, '.txt')}"
            files = [("data.yaml", yolo_data_yaml(class_names)), (label_file, labels)]
            return _zip(files, zipfile.ZIP_DEFLATED)
        case "labelme":
            return json_bytes(labelme_document(photo_name, photo.size_hw, objects))
        case _:
            as_polygons = file_format == "coco_polygons"
            annotations = (coco_annotation(item, as_polygons) for item in objects if item.area)
            coco = CocoPhoto(photo_name, photo.size_hw, tuple(annotations))
            return json_bytes(coco_document([coco]))


def json_bytes(document: JsonObject) -> bytes:
    """Encodes an annotation document."""
    return json.dumps(document, allow_nan=False).encode("ascii") + b"\n"


def _cutouts_zip(photo: Photo, objects: Sequence[PhotoObject], soft: bool) -> bytes:
    """Cut-outs named `<index>-<name>.png`; the index, as in `index_png`, makes names unique."""
    boxes_xywh = [mask_to_json(item.rle)["bbox"] for item in objects]
    if sum(width * height for _, _, width, height in boxes_xywh) > MAX_CUTOUT_PIXELS:
        raise PromptError(
            "The cut-outs are too large for one file. Export fewer objects at a time."
        )
    files = (
        (safe_file_name(f"{index}-{item.name}", ".png"), cutout_png(photo, item.mask, soft))
        for index, item in enumerate(objects, start=1)
        if item.area
    )
    return _zip(files, zipfile.ZIP_STORED)  # PNGs are compressed already


def _zip(files: Iterable[tuple[str, str | bytes]], compression: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files:
            # A ZipInfo has a fixed date, so that equal objects give equal archives.
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return buffer.getvalue()


def _check_polygon_cost(objects: Sequence[PhotoObject]) -> None:
    """Checks that the polygons of all masks can be traced within a few seconds."""
    edges = 0
    for item in objects:
        mask = item.mask
        edges += int(np.count_nonzero(mask[:, 1:] != mask[:, :-1]))
        edges += int(np.count_nonzero(mask[1:] != mask[:-1]))
        if edges > MAX_EDGES or sum(count_parts_and_holes(mask)) > MAX_OUTLINES:
            raise PromptError("These masks are too ragged for polygons. Export them as coco_rle.")
