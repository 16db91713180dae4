"""Exports objects as images and annotation files, and reads annotation files."""

from mobilesam.export.coco import read_coco as read_coco
from mobilesam.export.documents import parse_document as parse_document
from mobilesam.export.documents import read_objects as read_objects
from mobilesam.export.files import FILE_FORMATS as FILE_FORMATS
from mobilesam.export.files import export_file as export_file
from mobilesam.export.labelme import read_labelme as read_labelme
from mobilesam.export.names import export_file_name as export_file_name
from mobilesam.export.pictures import cutout_bounds_xyxy as cutout_bounds_xyxy
from mobilesam.export.pictures import cutout_png as cutout_png
from mobilesam.export.pictures import mask_png as mask_png
