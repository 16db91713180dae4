"""The files that `batch` writes: one COCO file, or a data set in a ZIP."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from mobilesam.atomic_file import atomic_file, write_atomically
from mobilesam.cli.output import show
from mobilesam.cli.photo_folder import PhotoFolder
from mobilesam.errors import ImageError, PromptError
from mobilesam.export.classes import ClassList
from mobilesam.export.coco import CocoPhoto, coco_annotation, coco_document
from mobilesam.export.dataset import DatasetWriter
from mobilesam.export.files import json_bytes
from mobilesam.export.outlines import check_polygon_cost
from mobilesam.export.split import Shares, split_photos
from mobilesam.image_file import read_photo_file
from mobilesam.masks import checked_rle
from mobilesam.objects import PhotoObject
from mobilesam.settings import ImageLimits


@dataclass(frozen=True)
class BatchFormat:
    """How `batch` writes its masks.

    Attributes:
        name: one of DATASET_FORMATS.
        class_names: the class list; names that are not in it are appended to it.
        tolerance: by how many pixels polygons are simplified.
        shares: of the photos for train, val and test, for data sets.
        seed: of the split.
        with_photos: whether a data set contains the photos.
    """

    name: str
    class_names: tuple[str, ...]
    tolerance: float
    shares: Shares
    seed: int
    with_photos: bool


def write_coco(out: Path, photos: Sequence[CocoPhoto], chosen: BatchFormat) -> int:
    """Writes one COCO file; returns how many photos failed, which are reported and left out."""
    written = list(photos)
    if chosen.name == "coco_polygons":
        written = []
        for photo in photos:
            with _reported(photo):
                written.append(_with_polygons(photo, chosen.tolerance))
    document = coco_document(written, ClassList(chosen.class_names))
    write_atomically(out, json_bytes(document))
    return len(photos) - len(written)


def write_dataset(
    out: Path,
    folder: PhotoFolder,
    photos: Sequence[CocoPhoto],
    chosen: BatchFormat,
    limits: ImageLimits,
) -> int:
    """Writes a data set as a ZIP; returns how many photos failed, which are reported and left out.

    The file names of the photos are relative to `folder`, and the split depends on their content.
    """
    found: list[tuple[CocoPhoto, str]] = []
    for photo in photos:
        with _reported(photo), folder.local_path(photo.file_name, limits.max_bytes) as path:
            content = read_photo_file(path, limits.max_bytes)
            found.append((photo, hashlib.sha256(content).hexdigest()))
    splits = split_photos([digest for _, digest in found], chosen.shares, chosen.seed)
    classes = ClassList(chosen.class_names)
    with (
        atomic_file(out) as file,
        DatasetWriter(file, chosen.name, classes, chosen.tolerance) as writer,
    ):
        for (photo, _), split in zip(found, splits, strict=True):
            copied = (
                folder.local_path(photo.file_name, limits.max_bytes)
                if chosen.with_photos
                else nullcontext()
            )
            with _reported(photo), copied as path:
                writer.add(photo.file_name, photo.size_hw, _objects(photo), split, path)
        writer.finish()
        return len(photos) - writer.photos


@contextmanager
def _reported(photo: CocoPhoto) -> Iterator[None]:
    """Reports an error that concerns one photo only."""
    try:
        yield
    except (ImageError, PromptError) as error:
        show(f"{photo.file_name}: {error}")


def _with_polygons(photo: CocoPhoto, tolerance: float) -> CocoPhoto:
    objects = _objects(photo)
    check_polygon_cost(objects)
    annotations = (coco_annotation(item, True, tolerance) for item in objects)
    return replace(photo, annotations=tuple(annotations))


def _objects(photo: CocoPhoto) -> list[PhotoObject]:
    """The objects of annotations with RLEs."""
    return [
        PhotoObject(
            annotation["category"],
            checked_rle(annotation["segmentation"], photo.size_hw),
            annotation.get("predicted_iou"),
        )
        for annotation in photo.annotations
    ]
