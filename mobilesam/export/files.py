"""Exports the objects of a photo as one file in any of the supported formats."""

import io
import json
import zipfile
from collections.abc import Iterable, Sequence

from mobilesam.errors import PromptError
from mobilesam.export.classes import ClassList
from mobilesam.export.coco import CocoPhoto, coco_annotation, coco_document
from mobilesam.export.documents import JsonObject
from mobilesam.export.labelme import labelme_document
from mobilesam.export.names import export_file_name, photo_file_name, safe_file_name
from mobilesam.export.outlines import POLYGON_FORMATS, check_polygon_cost, checked_tolerance
from mobilesam.export.pictures import class_png, classes_csv, cutout_png, index_png, mask_png
from mobilesam.export.yolo import yolo_data_yaml, yolo_labels
from mobilesam.images import Photo
from mobilesam.masks import mask_to_json
from mobilesam.objects import PhotoObject, check_sizes, union_mask
from mobilesam.settings import MEGA

MAX_CUTOUT_PIXELS = 64 * MEGA  # of all cut-outs in a ZIP; a pixel takes up to four bytes
_SUFFIXES = {
    "mask_png": "-masks.png",
    "index_png": "-index.png",
    "cutouts_zip": "-cutouts.zip",
    "coco_rle": "-coco.json",
    "coco_polygons": "-coco-polygons.json",
    "yolo": "-yolo.zip",
    "labelme": ".json",  # labelme looks for this name beside the photo
    "class_png": "-classes.zip",
}
FILE_FORMATS = tuple(_SUFFIXES)


def export_file(
    file_format: str,
    photo: Photo,
    objects: Sequence[PhotoObject],
    photo_name: str,
    soft: bool = False,
    classes: ClassList | None = None,
    tolerance: object = 0.0,
) -> tuple[str, bytes]:
    """Exports one or more objects of a photo as a file, in one of FILE_FORMATS.

    `"mask_png"` is the union of all masks; `"yolo"` a ZIP of data.yaml and the label file,
    `"class_png"` one of the image and its legend.

    Args:
        file_format: one of FILE_FORMATS.
        photo: its pixels are for cut-outs, its size for all formats.
        objects: one or more.
        photo_name: the photo's file name, for annotation files and the name of the exported file.
        soft: gives cut-outs soft edges, see `cutout_png`.
        classes: fixes the ids of classes; names that are not in it are appended to it.
        tolerance: by how many pixels polygons are simplified, 0 to MAX_TOLERANCE_PX.

    Returns:
        A file name that is safe on every system, and the file's content.

    Raises:
        PromptError: the format or the tolerance is invalid, the objects are missing, empty or of
            another size, or the file would be too large or take too long.
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
    match file_format:
        case "mask_png":
            return file_name, mask_png(union_mask(objects))
        case "index_png":
            return file_name, index_png(objects)
        case "cutouts_zip":
            return file_name, _cutouts_zip(photo, objects, soft)
    classes = ClassList() if classes is None else classes
    tolerance_px = checked_tolerance(tolerance)
    return file_name, _annotations(file_format, photo.size_hw, objects, name, classes, tolerance_px)


def _annotations(
    file_format: str,
    size_hw: tuple[int, int],
    objects: Sequence[PhotoObject],
    photo_name: str,
    classes: ClassList,
    tolerance: float,
) -> bytes:
    if file_format in POLYGON_FORMATS:
        check_polygon_cost(objects)
    match file_format:
        case "class_png":
            image = class_png(objects, size_hw, classes)
            return _zip(
                [
                    ("classes.csv", classes_csv(classes)),
                    (export_file_name(photo_name, ".png"), image),
                ]
            )
        case "yolo":
            # YOLO looks for the labels of images/<photo> in labels/<stem>.txt.
            labels = yolo_labels(objects, size_hw, classes, tolerance)
            label_file = f"labels/{export_file_name(photo_name, '.txt')}"
            return _zip([("data.yaml", yolo_data_yaml(classes.names)), (label_file, labels)])
        case "labelme":
            return json_bytes(labelme_document(photo_name, size_hw, objects, tolerance))
        case _:
            as_polygons = file_format == "coco_polygons"
            annotations = tuple(
                coco_annotation(item, as_polygons, tolerance) for item in objects if item.area
            )
            coco = CocoPhoto(photo_name, size_hw, annotations)
            return json_bytes(coco_document([coco], classes))


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


def _zip(
    files: Iterable[tuple[str, str | bytes]], compression: int = zipfile.ZIP_DEFLATED
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files:
            # A ZipInfo has a fixed date, so that equal objects give equal archives.
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return buffer.getvalue()
