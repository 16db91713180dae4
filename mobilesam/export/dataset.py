"""Data sets: the annotations of many photos, and the photos, in a ZIP that trainers can load.

docs/datasets.md describes the layouts. Photos are stored as they are, so their EXIF orientation
stays in them; annotations are in pixels of the upright photo.
"""

import json
import os
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import IO, Self

from mobilesam.errors import PromptError
from mobilesam.export.classes import ClassList
from mobilesam.export.coco import (
    COCO_HEADER,
    coco_annotation,
    coco_categories,
    coco_image,
    with_category_id,
)
from mobilesam.export.documents import JsonObject
from mobilesam.export.files import json_bytes
from mobilesam.export.labelme import labelme_document
from mobilesam.export.names import photo_file_name, safe_file_name
from mobilesam.export.outlines import POLYGON_FORMATS, check_polygon_cost
from mobilesam.export.pictures import class_png, classes_csv
from mobilesam.export.split import SPLITS
from mobilesam.export.yolo import yolo_data_yaml, yolo_labels
from mobilesam.objects import PhotoObject, check_sizes

DATASET_FORMATS = ("coco_rle", "coco_polygons", "yolo", "labelme", "class_png")
_MAX_STEM_BYTES = 200  # file systems allow 255 for a name with its number and extension
_MAX_EXTENSION = 10


def checked_format(value: object) -> str:
    """One of DATASET_FORMATS; PromptError if it is anything else."""
    if isinstance(value, str) and value in DATASET_FORMATS:
        return value
    raise PromptError(f"The format must be one of {', '.join(DATASET_FORMATS)}.")


class DatasetWriter:
    """Writes a data set as a ZIP, one photo at a time; memory does not grow with the masks.

    Equal photos in equal order make equal bytes. Call `finish` after the last photo, and `close` in
    any case, or use it as a context manager.

    Attributes:
        photos: how many have been added.
        objects: how many of them have a mask that is not empty.
    """

    def __init__(
        self, file: Path | IO[bytes], file_format: str, classes: ClassList, tolerance: float = 0.0
    ) -> None:
        """Writes to a path, or to an open file that can seek.

        Names that are not among `classes` are appended to them. Polygons are simplified by
        `tolerance` pixels. PromptError if the format is not one of DATASET_FORMATS.
        """
        self.photos = self.objects = 0
        self._format = checked_format(file_format)
        self._classes = classes
        self._tolerance = tolerance
        self._archive = zipfile.ZipFile(file, "w")
        self._coco: dict[str, _CocoSplit] = {}
        self._splits: set[str] = set()
        self._stems: set[str] = set()
        self._numbers: dict[str, int] = {}  # by stem, the last one appended to it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def size_bytes(self) -> int:
        """Bytes on disk so far, until it is finished or closed."""
        archive = self._archive.fp.tell() if self._archive.fp else 0
        return archive + sum(part.annotations.tell() for part in self._coco.values())

    def add(
        self,
        name: str,
        size_hw: tuple[int, int],
        objects: Sequence[PhotoObject],
        split: str = "train",
        photo: Path | None = None,
    ) -> str:
        """Adds a photo, which may have no objects; empty masks are left out.

        `name` is its file name, and `size_hw` the (H, W) of the upright photo. `split` is one of
        SPLITS. `photo` is a file to be copied into the data set.
        Returns its name in the data set, where it is unique, also without its extension.

        Raises:
            PromptError: a mask has another size, there are too many classes, or tracing the masks
                would take too long. Nothing has been written then.
            OSError: the photo cannot be read, or the data set cannot be written and is lost.
        """
        check_sizes(objects, size_hw)
        objects = [item for item in objects if item.area]
        if self._format in POLYGON_FORMATS:
            check_polygon_cost(objects)
        for item in objects:
            self._classes.id_of(item.name)
        # A photo that the user adds keeps its name; one that is copied needs a safe one. It is made
        # safe before it is split, too, so that the labels have the stem of the photo.
        given_name = photo_file_name(name)
        stem, extension = self._unique_name(
            safe_file_name(*os.path.splitext(given_name)) if photo else given_name
        )
        file_name = safe_file_name(stem, extension) if photo else f"{stem}{extension}"
        with photo.open("rb") if photo else nullcontext() as source:
            match self._format:
                case "yolo":
                    labels = yolo_labels(objects, size_hw, self._classes, self._tolerance)
                    self._write(f"labels/{split}/{safe_file_name(stem, '.txt')}", labels)
                case "labelme":
                    document = labelme_document(file_name, size_hw, objects, self._tolerance)
                    self._write(f"{split}/{safe_file_name(stem, '.json')}", json_bytes(document))
                case "class_png":
                    image = class_png(objects, size_hw, self._classes)
                    self._write(f"masks/{split}/{safe_file_name(stem, '.png')}", image)
                case _:
                    self._add_to_coco(split, file_name, size_hw, objects)
            if source:
                folder = split if self._format == "labelme" else f"images/{split}"
                self._copy(f"{folder}/{file_name}", source)
        self._stems.add(_folded(stem))
        self._splits.add(split)
        self.photos += 1
        self.objects += len(objects)
        return file_name

    def finish(self) -> None:
        """Completes the ZIP; PromptError if no photo has been added."""
        if not self.photos:
            raise PromptError("There are no photos in this data set. Add one first.")
        self._write("classes.txt", "".join(f"{name}\n" for name in self._classes.names))
        if self._format == "yolo":
            self._write("data.yaml", self._data_yaml())
        if self._format == "class_png":
            self._write("classes.csv", classes_csv(self._classes))
        for split, part in self._coco.items():
            self._write_coco(f"annotations/instances_{split}.json", part)
        self._archive.close()

    def close(self) -> None:
        """Releases the files, finished or not, except an open one that it was given."""
        with suppress(OSError, ValueError):  # of an unfinished archive
            self._archive.close()
        for part in self._coco.values():
            part.annotations.close()

    def _unique_name(self, file_name: str) -> tuple[str, str]:
        """The stem and the extension, with a number if another photo's stem is the same.

        Label files are named after the stem, so a.jpg and a.png would share one. Many file systems
        do not distinguish upper and lower case.
        """
        stem, extension = os.path.splitext(file_name)
        # The extension .json is that of labelme's documents.
        if extension.lower() in ("", ".json") or len(extension) > _MAX_EXTENSION:
            stem, extension = file_name, ".jpg"
        stem = stem.encode()[:_MAX_STEM_BYTES].decode(errors="ignore")
        number = self._numbers.get(stem, 1)
        while _folded(unique := f"{stem}-{number}" if number > 1 else stem) in self._stems:
            number += 1
        self._numbers[stem] = number
        return unique, extension

    def _add_to_coco(
        self, split: str, file_name: str, size_hw: tuple[int, int], objects: Sequence[PhotoObject]
    ) -> None:
        as_polygons = self._format == "coco_polygons"
        found = [
            with_category_id(coco_annotation(item, as_polygons, self._tolerance), self._classes)
            for item in objects
        ]
        if split not in self._coco:
            self._coco[split] = _CocoSplit()
        self._coco[split].add(file_name, size_hw, found)

    def _data_yaml(self) -> str:
        """Names all splits that have photos; ultralytics demands train and val."""
        folders = [f"images/{split}" for split in SPLITS if split in self._splits]
        train, val = (
            f"images/{split}" if split in self._splits else folders[0] for split in SPLITS[:2]
        )
        test = "images/test" if "test" in self._splits else None
        return yolo_data_yaml(self._classes.names, train, val, test)

    def _write_coco(self, name: str, part: "_CocoSplit") -> None:
        head = json.dumps({**COCO_HEADER, "images": part.images})
        tail = json.dumps({"categories": coco_categories(self._classes)})
        entry = zipfile.ZipInfo(name)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.file_size = part.annotations.tell()  # an estimate: from 2 GB on, the header is longer
        part.annotations.seek(0)
        with self._archive.open(entry, "w") as target:
            target.write(head[:-1].encode("ascii") + b', "annotations": [\n')
            shutil.copyfileobj(part.annotations, target)
            target.write(b"], " + tail[1:].encode("ascii") + b"\n")

    def _write(self, name: str, data: str | bytes) -> None:
        # A ZipInfo has a fixed date. PNGs are compressed already.
        kind = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
        self._archive.writestr(zipfile.ZipInfo(name), data, kind)

    def _copy(self, name: str, source: IO[bytes]) -> None:
        with self._archive.open(zipfile.ZipInfo(name), "w") as target:
            shutil.copyfileobj(source, target)


class _CocoSplit:
    """The photos of one split, and their annotations in a temporary file."""

    def __init__(self) -> None:
        self.images: list[JsonObject] = []
        self.annotations = tempfile.TemporaryFile()  # noqa: SIM115 - the writer closes it
        self._count = 0

    def add(
        self, file_name: str, size_hw: tuple[int, int], annotations: Sequence[JsonObject]
    ) -> None:
        image_id = len(self.images) + 1
        self.images.append(coco_image(image_id, file_name, size_hw))
        for annotation in annotations:
            separator = ",\n" if self._count else ""
            self._count += 1
            fields = {"id": self._count, "image_id": image_id, **annotation}
            self.annotations.write((separator + json.dumps(fields)).encode("ascii"))


def _folded(stem: str) -> str:
    """What stems that file systems may take for the same have in common."""
    return unicodedata.normalize("NFC", safe_file_name(stem, "")).casefold()
