"""Objects as files: pictures, and the annotation formats that other programs read."""

from mobilesam.export.coco import (
    CocoAnnotation,
    CocoPhoto,
    coco_annotation,
    coco_document,
    coco_photo,
    read_coco,
)
from mobilesam.export.documents import parse_document, read_objects
from mobilesam.export.file_names import photo_file_name, safe_file_stem
from mobilesam.export.files import FILE_FORMATS, export_file
from mobilesam.export.labelme import labelme_document, read_labelme
from mobilesam.export.pictures import cutout_png, cutouts_zip, index_png, mask_png
from mobilesam.export.yolo import yolo_data_yaml, yolo_labels

__all__ = [
    "FILE_FORMATS",
    "CocoAnnotation",
    "CocoPhoto",
    "coco_annotation",
    "coco_document",
    "coco_photo",
    "cutout_png",
    "cutouts_zip",
    "export_file",
    "index_png",
    "labelme_document",
    "mask_png",
    "parse_document",
    "photo_file_name",
    "read_coco",
    "read_labelme",
    "read_objects",
    "safe_file_stem",
    "yolo_data_yaml",
    "yolo_labels",
]
