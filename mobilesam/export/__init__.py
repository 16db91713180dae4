"""Exports objects as images and annotation files, and reads annotation files."""

from mobilesam.export.documents import parse_document as parse_document
from mobilesam.export.documents import read_objects as read_objects
from mobilesam.export.files import FILE_FORMATS as FILE_FORMATS
from mobilesam.export.files import export_file as export_file
from mobilesam.export.names import export_file_name as export_file_name
from mobilesam.export.pictures import cutout_bounds_xyxy as cutout_bounds_xyxy
from mobilesam.export.pictures import cutout_png as cutout_png
from mobilesam.export.pictures import mask_png as mask_png
from mobilesam.export.reading import Imported as Imported
from mobilesam.export.reading import PhotoInfo as PhotoInfo
from mobilesam.export.reading import read_annotations as read_annotations
