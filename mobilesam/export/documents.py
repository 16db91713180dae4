"""Reads untrusted annotation documents: bounds on their size, and what all formats share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, TypeAdapter

from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import AnnotationError, PromptError
from mobilesam.masks import Mask, mask_from_coco_rle
from mobilesam.objects import PackedObjects, PhotoObject
from mobilesam.polygons import outline_length
from mobilesam.schemas import Number, validate
from mobilesam.settings import MEGA

MAX_DOCUMENT_BYTES = 20 * MEGA
MAX_DOCUMENT_OBJECTS = 1000
"""Objects of one photo in a document."""

MAX_MASK_PIXELS = 1000 * MEGA
"""Pixels of all masks of a photo together: 500 objects of a 2 megapixel photo."""

MAX_COUNTS = 20 * MEGA
"""Characters or list items of all RLEs that a client sends with a photo."""

MAX_OUTLINE_PX = 4 * MEGA
"""Length of all polygons of a photo together; filling takes time and memory for each pixel."""

MIN_OUTLINE_PX = 40.0
"""The length that even the smallest polygon counts for."""

MAX_OUTSIDE_PX = 1.0
"""How far a vertex may lie outside the photo, since programs round differently. It is moved in."""

_BAD_POLYGON = "A polygon must have at least three points, each of two numbers."

JsonObject = dict[str, Any]

T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=BaseModel)

Items = Annotated[list[T], Field(strict=True, fail_fast=True)]
"""The schema of a list that may be long: only its first error is collected."""


class _SentObject(BaseModel):
    name: str
    rle: JsonObject
    predicted_iou: Number | None = None


_SENT_OBJECTS = TypeAdapter(Annotated[Items[_SentObject], Field(max_length=MAX_DOCUMENT_OBJECTS)])


def parse_document(data: bytes | str) -> object:
    """Parses JSON.

    Raises:
        AnnotationError: the data is not JSON, too large or too deeply nested.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        raise AnnotationError(
            f"An annotation file can have at most {MAX_DOCUMENT_BYTES / MEGA:g} MB. "
            "Split it into one file per photo."
        )
    try:
        parsed: object = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise AnnotationError(
            "This file is not JSON that can be read. Open a COCO or labelme JSON file."
        ) from None
    return parsed


def json_bytes(document: JsonObject) -> bytes:
    """Encodes an annotation document."""
    return json.dumps(document, allow_nan=False).encode("ascii") + b"\n"


def validate_file(model: type[ModelT], document: object, file_format: str) -> ModelT:
    """Validates parsed JSON against the schema of `"COCO"` or `"labelme"` files.

    Raises:
        AnnotationError: the document does not match the schema.
    """
    try:
        return validate(model, document, AnnotationError, "it")
    except AnnotationError as error:
        raise AnnotationError(f"This {file_format} file cannot be read: {error}") from None


def read_objects(
    rows: object, size_hw: tuple[int, int], budget: CpuBudget | None = None
) -> PackedObjects:
    """Reads the objects that a client sends.

    Args:
        rows: parsed JSON, a list of {"name", "rle", "predicted_iou"}; the last is optional.
        size_hw: (H, W) of the photo.
        budget: limits the time spent on the objects.

    Raises:
        AnnotationError: the list cannot be read, or a mask has another size.
        PromptError: the budget is exhausted.
    """
    sent = validate(_SENT_OBJECTS, rows, AnnotationError, "objects")
    if sum(_counts_length(row.rle) for row in sent) > MAX_COUNTS:
        raise AnnotationError("The masks are too long together. Send fewer objects at a time.")
    found = ((row.name, mask_from_coco_rle(row.rle, size_hw), row.predicted_iou) for row in sent)
    return pack_objects(len(sent), found, size_hw, budget)


def pack_objects(
    count: int,
    found: Iterable[tuple[str, Mask, float | None]],
    size_hw: tuple[int, int],
    budget: CpuBudget | None,
) -> PackedObjects:
    """Packs the objects of a document one by one, if there are not too many.

    Args:
        count: number of objects in `found`.
        found: name, (H, W) mask and predicted IoU of each object.
        size_hw: (H, W) of the photo.
        budget: limits the time spent on the objects.

    Raises:
        AnnotationError: there are too many objects for this size, or a name cannot be used.
    """
    most = min(MAX_DOCUMENT_OBJECTS, MAX_MASK_PIXELS // (size_hw[0] * size_hw[1]))
    if count > most:
        raise AnnotationError(
            f"There are {count} objects; at most {most} can be read for a photo of this size."
        )

    def objects() -> Iterator[PhotoObject]:
        for name, mask, predicted_iou in found:
            try:
                item = PhotoObject(name, mask, predicted_iou)
            except PromptError as error:
                raise AnnotationError(f"An object cannot be used: {error}") from None
            yield item

    return PackedObjects(objects(), budget)


def check_photo_size(height: float | None, width: float | None, size_hw: tuple[int, int]) -> None:
    """Raises AnnotationError if a document is for a photo of another size."""
    if (height, width) != tuple(size_hw):
        raise AnnotationError(
            f"These annotations are for a photo of another size. "
            f"This photo is {size_hw[1]} x {size_hw[0]}."
        )


class PolygonReader:
    """Reads the polygons of one file and bounds their total length."""

    def __init__(self, size_hw: tuple[int, int]) -> None:
        """Starts with a length of 0, for a photo of size (H, W)."""
        self._size_hw = size_hw
        self._length_px = 0.0

    def read(self, coordinates: Sequence[Any]) -> NDArray[np.float64]:
        """Like `polygon_xy`.

        Raises:
            AnnotationError: as `polygon_xy`, or all polygons are longer than MAX_OUTLINE_PX.
        """
        polygon = polygon_xy(coordinates, self._size_hw)
        self._length_px += max(outline_length(polygon), MIN_OUTLINE_PX)
        if self._length_px > MAX_OUTLINE_PX:
            raise AnnotationError("The polygons are too long together. Simplify them.")
        return polygon


def polygon_xy(coordinates: Sequence[Any], size_hw: tuple[int, int]) -> NDArray[np.float64]:
    """Checks a polygon; with numpy, as it may have a million vertices.

    Args:
        coordinates: x0, y0, x1, y1, ...
        size_hw: (H, W) of the photo.

    Returns:
        (N, 2) XY within the photo, N at least 3.

    Raises:
        AnnotationError: the coordinates are not finite numbers, fewer than three points, or a
            point lies outside the photo.
    """
    height, width = size_hw
    count = len(coordinates)
    if count < 6 or count % 2 or not set(map(type, coordinates)) <= {int, float}:
        raise AnnotationError(_BAD_POLYGON)
    try:
        xy = np.array(coordinates, float).reshape(-1, 2)
    except OverflowError:  # an integer of JSON can have thousands of digits
        xy = np.full((1, 2), 2.0 * max(size_hw))
    if not np.isfinite(xy).all():
        raise AnnotationError(_BAD_POLYGON)
    inside: NDArray[np.float64] = np.clip(xy, 0, (width, height))
    if np.abs(xy - inside).max() > MAX_OUTSIDE_PX:
        raise AnnotationError(f"A polygon extends outside the {width} x {height} photo.")
    return inside


def _counts_length(rle: JsonObject) -> int:
    counts = rle.get("counts")
    return len(counts) if isinstance(counts, (str, list)) else 0


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
