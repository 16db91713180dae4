"""Reads the objects of photos from the annotation files of this demo and of other programs.

COCO, labelme and YOLO segmentation: one file or a ZIP of many. What can be read is read, and the
rest is counted by its reason.
"""

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import AnnotationError, PromptError
from mobilesam.export.annotation_files import annotation_files
from mobilesam.export.coco import coco_photos
from mobilesam.export.documents import (
    MAX_COUNTS,
    MAX_DOCUMENT_OBJECTS,
    TOO_MANY,
    TOO_SLOW,
    ObjectReader,
    PhotoAnnotations,
    RowLimit,
    SkippedError,
    parse_document,
)
from mobilesam.export.labelme import labelme_photo
from mobilesam.export.yolo_reader import (
    MAX_NAMES_BYTES,
    class_names,
    is_names_file,
    yolo_photo,
)
from mobilesam.masks import rle_area
from mobilesam.objects import PhotoObject, checked_name
from mobilesam.settings import ImageLimits

MAX_ROWS = 200_000  # objects and COCO's photos in a file or a ZIP: each takes some memory
MAX_IMPORTED = 10_000  # objects of all photos

_MAX_COMPARED = 300  # characters of a path, at its end; a file name has up to 255
_NO_MASKS = (
    "This file contains no masks. Open a COCO or labelme JSON file, YOLO labels, or a ZIP of them."
)
_TOO_SLOW_FILES = "files that would take too long"


@dataclass(frozen=True)
class PhotoInfo:
    """A photo that annotations may belong to: its file's name, (H, W) and SHA-256, if known."""

    name: str
    size_hw: tuple[int, int] | None = None
    sha256: str | None = None


@dataclass(frozen=True, eq=False)
class Imported:
    """What was read.

    Attributes:
        objects: by the index of their photo, at the photo's own size; none of the masks is empty.
        unmatched: number of objects, by the name of a photo in the file that is none of the photos,
            or could be several.
        skipped: number of objects or files that cannot be used, by their reason, in the plural.
    """

    objects: dict[int, list[PhotoObject]] = field(default_factory=dict)
    unmatched: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)


def read_annotations(
    data: bytes,
    file_name: str,
    photos: Sequence[PhotoInfo],
    assign: Mapping[str, int] | None = None,
    budget: CpuBudget | None = None,
    max_pixels: int = ImageLimits.max_pixels,
) -> Imported:
    """Reads all objects of some photos.

    A photo in the file is found by `assign`, by its SHA-256, by its whole name, by the last part of
    its name if that is unique, and for labelme and YOLO by the name of the annotation file.

    Args:
        data: of a COCO or labelme JSON file, a YOLO label file, or a ZIP of any of them.
        file_name: of this data.
        photos: that the annotations may belong to.
        assign: the index of a photo, by a name of `Imported.unmatched`.
        budget: when it is spent, the remaining files and objects are skipped.
        max_pixels: of a photo.

    Raises:
        AnnotationError: the file contains no annotations, or is too large.
    """
    result = Imported()
    found = annotated_photos(data, file_name, result.skipped, budget)
    finder = _PhotoFinder(photos, found, assign or {})
    room = _Room(MAX_IMPORTED, MAX_COUNTS)
    for annotations in found:
        if budget and budget.is_spent:
            result.skipped[TOO_SLOW] += len(annotations.shapes)
            continue
        index = finder.index(annotations)
        if index is None:
            result.unmatched[annotations.name or annotations.stem] += len(annotations.shapes)
            continue
        objects = result.objects.setdefault(index, [])
        size_hw = photos[index].size_hw or annotations.size_hw
        reason = _size_problem(annotations.size_hw, size_hw, max_pixels)
        if reason:
            result.skipped[reason] += len(annotations.shapes)
        elif size_hw:
            _read_objects(annotations, size_hw, objects, room, budget, result.skipped)
    return result


def annotated_photos(
    data: bytes, file_name: str, skipped: Counter[str], budget: CpuBudget | None = None
) -> list[PhotoAnnotations]:
    """The photos in a file, not matched yet; what belongs to none is counted in `skipped`.

    When the budget is spent, the files after the first one with annotations are skipped.

    Raises:
        AnnotationError: the file contains no annotations, or is too large.
    """
    found: list[PhotoAnnotations] = []
    limit = RowLimit(MAX_ROWS, skipped)
    labels: list[tuple[PurePosixPath, bytes]] = []
    names_files: list[tuple[str, bytes]] = []
    is_archive = data.startswith(b"PK")
    files = annotation_files(data, file_name, skipped)
    for path, content in _in_time(files, found, skipped, budget):
        if is_archive and is_names_file(path.name.lower()):
            names_files.append((path.name.lower(), content))
        elif path.suffix.lower() == ".txt":
            labels.append((path, content))
        else:
            try:
                found += _json_photos(content, path.stem, skipped, limit)
            except AnnotationError:
                if not is_archive:
                    raise
                skipped["files without masks"] += 1
    names = _last_names(names_files, skipped, budget) if labels else {}
    for path, content in _in_time(labels, found, skipped, budget):
        photo = yolo_photo(content, path.stem, names, limit)
        if photo:
            found.append(photo)
        elif content.strip():
            skipped["files without masks"] += 1
    if not found:
        raise AnnotationError(_NO_MASKS)
    return found


def _in_time(
    files: Iterable[tuple[PurePosixPath, bytes]],
    found: Sequence[PhotoAnnotations],
    skipped: Counter[str],
    budget: CpuBudget | None,
) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The files until one of them has been `found` and the budget is spent; counts the others."""
    for file in files:
        if found and budget and budget.is_spent:
            skipped[_TOO_SLOW_FILES] += 1
        else:
            yield file


def _last_names(
    names_files: Sequence[tuple[str, bytes]], skipped: Counter[str], budget: CpuBudget | None
) -> dict[int, str]:
    """The class names of the last file that has any, or none when the budget is spent."""
    for name, content in reversed(names_files):
        if budget and budget.is_spent:
            break
        if len(content) > MAX_NAMES_BYTES:
            skipped["lists of classes that are too long"] += 1
        elif names := class_names(content, name):
            return names
    return {}


def _json_photos(
    content: bytes, stem: str, skipped: Counter[str], limit: RowLimit
) -> list[PhotoAnnotations]:
    document = parse_document(content)
    if isinstance(document, dict) and "shapes" in document:
        return [labelme_photo(document, stem, limit)]
    if isinstance(document, dict) and "annotations" in document:
        return coco_photos(document, skipped, limit)
    raise AnnotationError(_NO_MASKS)


@dataclass
class _Room:
    """The number of objects, and of characters of their RLEs, that can still be imported."""

    objects: int
    characters: int


class _PhotoFinder:
    """Finds the photo that annotations belong to."""

    def __init__(
        self,
        photos: Sequence[PhotoInfo],
        found: Iterable[PhotoAnnotations],
        assign: Mapping[str, int],
    ) -> None:
        self._assign = {name: index for name, index in assign.items() if 0 <= index < len(photos)}
        self._by_sha256 = _unique((photo.sha256, at) for at, photo in enumerate(photos))
        paths = [_comparable(photo.name) for photo in photos]
        self._by_name = _unique((path, at) for at, path in enumerate(paths))
        self._by_last_part = _unique((_last_part(path), at) for at, path in enumerate(paths))
        self._by_stem = _unique(
            (PurePosixPath(_last_part(path)).stem, at) for at, path in enumerate(paths)
        )
        self._found_paths = {one.name: _comparable(one.name) for one in found if one.name}
        # Two photos of the file that have one name in different folders cannot both be meant.
        self._times = Counter(map(_last_part, set(self._found_paths.values())))

    def index(self, annotations: PhotoAnnotations) -> int | None:
        path = self._found_paths.get(annotations.name, "")
        last = _last_part(path)
        ways = [
            self._assign.get(annotations.name or annotations.stem),
            self._by_sha256.get(annotations.sha256.lower()),
            self._by_name.get(path) if path else None,
            self._by_last_part.get(last) if last and self._times[last] == 1 else None,
            self._by_stem.get(_comparable(annotations.stem)) if annotations.stem else None,
        ]
        return next((index for index in ways if index is not None), None)


def _unique(pairs: Iterable[tuple[str | None, int]]) -> dict[object, int]:
    """The values of keys that occur once and are not None."""
    by_key: dict[object, list[int]] = defaultdict(list)
    for key, value in pairs:
        by_key[key].append(value)
    return {key: values[0] for key, values in by_key.items() if key and len(values) == 1}


def _comparable(name: str) -> str:
    """The end of a path as it is compared: macOS decomposes letters, Windows writes backslashes.

    It is cut before, as NFC takes quadratic time.
    """
    return unicodedata.normalize("NFC", name[-_MAX_COMPARED:].replace("\\", "/"))


def _last_part(path: str) -> str:
    return path.rpartition("/")[2]


def _size_problem(
    given: tuple[int, int] | None, size_hw: tuple[int, int] | None, max_pixels: int
) -> str:
    """Why annotations for a photo of size `given` do not fit one of (H, W); empty if they do."""
    if size_hw is None:
        return "objects of photos of unknown size"
    if math.prod(size_hw) > max_pixels:
        return "objects of photos that are too large"
    if given in (None, size_hw):
        return ""
    if given == size_hw[::-1]:
        return "objects of photos that the file has turned by 90 degrees"
    return "objects of photos of another size"


def _read_objects(
    annotations: PhotoAnnotations,
    size_hw: tuple[int, int],
    objects: list[PhotoObject],
    room: _Room,
    budget: CpuBudget | None,
    skipped: Counter[str],
) -> None:
    """Appends the objects of a photo of size (H, W) that have room, and counts the others."""
    reader = ObjectReader(size_hw, budget)
    for index, shape in enumerate(annotations.shapes):
        rest = len(annotations.shapes) - index
        if len(objects) >= MAX_DOCUMENT_OBJECTS or not room.objects:
            skipped[TOO_MANY] += rest
            return
        if budget and budget.is_spent:
            skipped[TOO_SLOW] += rest
            return
        try:
            name = checked_name(str(shape.name) if type(shape.name) is int else shape.name)
        except PromptError:
            skipped["objects without a usable name"] += 1
            continue
        try:
            rle = shape.draw(reader)
            length = len(rle["counts"])
            if not rle_area(rle):
                skipped["empty masks"] += 1
            elif length > room.characters:
                skipped["masks that are too long together"] += 1
            else:
                objects.append(PhotoObject(name, rle, _finite(shape.predicted_iou)))
                room.objects -= 1
                room.characters -= length
        except SkippedError as error:
            skipped[str(error)] += 1
        except AnnotationError:
            skipped["damaged masks"] += 1


def _finite(number: object) -> float | None:
    try:
        is_finite = type(number) in (int, float) and math.isfinite(number)  # type: ignore[arg-type]
    except OverflowError:  # an integer of JSON can have thousands of digits
        return None
    return float(number) if is_finite else None  # type: ignore[arg-type]
