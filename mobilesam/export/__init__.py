"""Exports objects as images and annotation files, and reads annotation files."""

from mobilesam.export.classes import ClassList as ClassList
from mobilesam.export.classes import read_class_names as read_class_names
from mobilesam.export.dataset import DATASET_FORMATS as DATASET_FORMATS
from mobilesam.export.dataset import DatasetWriter as DatasetWriter
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
from mobilesam.export.split import split_photos as split_photos
