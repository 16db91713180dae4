"""Annotation files from anywhere: nothing in them is believed before it is checked."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import AnnotationError, PromptError
from mobilesam.masks import Mask, mask_from_coco_rle
from mobilesam.objects import PackedObjects, PhotoObject
from mobilesam.polygons import outline_length
from mobilesam.settings import MEGA

MAX_DOCUMENT_BYTES = 20 * MEGA
MAX_OBJECTS = 1000

MAX_MASK_PIXELS = 1000 * MEGA
"""Of all masks of a photo together, a byte each: 500 objects of a 2 megapixel photo."""

MAX_COUNTS = 20 * MEGA
"""Of all run-length masks that a client sends with a photo: characters, or numbers of lists."""

MAX_OUTLINE_PX = 4 * MEGA
"""Length of all polygons of a photo together; filling them takes time and memory for each pixel."""

LEAST_OUTLINE_PX = 40.0
"""What a polygon of a few pixels counts for."""

BEYOND_EDGE_PX = 1.0
"""How far a vertex may lie outside the photo; programs round differently. It is moved in."""

_NO_POLYGON = "A polygon needs at least three points, each of two numbers."

Fields = dict[str, Any]


def parse_document(data: bytes | str) -> object:
    """JSON as Python objects.

    Raises:
        AnnotationError: it is no JSON, or is too large or too deeply nested.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        raise AnnotationError(
            f"An annotation file has at most {MAX_DOCUMENT_BYTES / MEGA:g} MB; split it by photo."
        )
    try:
        parsed: object = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise AnnotationError(
            "This file is not JSON that can be read; open a COCO or a labelme JSON."
        ) from None
    return parsed


def fields_of(value: object, what: str) -> Fields:
    """The JSON object, or an AnnotationError that says what should have been one."""
    if not isinstance(value, dict):
        raise AnnotationError(f"{what} must be a JSON object.")
    return value


def items_of(value: object, what: str) -> list[Any]:
    """The JSON list, or an AnnotationError that says what should have been one."""
    if not isinstance(value, list):
        raise AnnotationError(f"{what} must be a JSON list.")
    return value


def check_same_size(height: object, width: object, size_hw: tuple[int, int]) -> None:
    """Checks the size that a file gives its photo.

    Raises:
        AnnotationError: it is not (H, W).
    """
    if (height, width) != tuple(size_hw):
        raise AnnotationError(
            f"The annotations are for a photo of another size than this one, "
            f"which is {size_hw[1]} x {size_hw[0]}."
        )


def check_room(count: int, size_hw: tuple[int, int]) -> None:
    """Checks how many masks a file would make, before any is made.

    Raises:
        AnnotationError: more than MAX_OBJECTS, or than MAX_MASK_PIXELS hold.
    """
    most = min(MAX_OBJECTS, MAX_MASK_PIXELS // (size_hw[0] * size_hw[1]))
    if count > most:
        raise AnnotationError(
            f"There are {count} objects; at most {most} can be read for a photo of this size."
        )


def polygon_xy(numbers: list[Any], size_hw: tuple[int, int]) -> NDArray[np.float64]:
    """The vertices of a polygon.

    Args:
        numbers: x and y in turn.
        size_hw: (H, W) of the photo.

    Returns:
        (N, 2) XY within the photo, N at least 3.

    Raises:
        AnnotationError: not numbers, fewer than three vertices, or one outside the photo.
    """
    height, width = size_hw
    if len(numbers) < 6 or len(numbers) % 2 or not set(map(type, numbers)) <= {int, float}:
        raise AnnotationError(_NO_POLYGON)
    try:
        xy = np.array(numbers, float).reshape(-1, 2)
    except OverflowError:  # whole numbers of JSON may have thousands of digits
        xy = np.full((1, 2), 2.0 * max(size_hw))
    if not np.isfinite(xy).all():
        raise AnnotationError(_NO_POLYGON)
    inside: NDArray[np.float64] = np.clip(xy, 0, (width, height))
    if np.abs(xy - inside).max() > BEYOND_EDGE_PX:
        raise AnnotationError(f"A polygon reaches outside the {width} x {height} photo.")
    return inside


def spent_outline(polygons: list[NDArray[np.float64]], spent_px: float) -> float:
    """What the polygons of a photo have cost with these; the smallest costs something too.

    Raises:
        AnnotationError: more than MAX_OUTLINE_PX.
    """
    spent_px += sum(max(outline_length(polygon), LEAST_OUTLINE_PX) for polygon in polygons)
    if spent_px > MAX_OUTLINE_PX:
        raise AnnotationError("The polygons are too long to be filled; simplify them.")
    return spent_px


def object_from_file(name: object, mask: Mask, predicted_iou: Any) -> PhotoObject:
    """A PhotoObject of what a file says.

    Raises:
        AnnotationError: the name or the predicted IoU cannot be used.
    """
    try:
        return PhotoObject(name, mask, predicted_iou)  # type: ignore[arg-type]
    except PromptError as error:
        raise AnnotationError(f"An object of the file cannot be used: {error}") from None


def read_objects(
    value: object, size_hw: tuple[int, int], effort: CpuBudget | None = None
) -> PackedObjects:
    """Objects as a client sends them.

    Args:
        value: parsed JSON, a list of {"name", "rle", "predicted_iou"}; the last may be left out.
        size_hw: (H, W) of the photo.
        effort: bounds what is done with them.

    Raises:
        AnnotationError: it is no such list, a mask is damaged or of another size, or there is more
            than can be read.
        PromptError: a name or a predicted IoU cannot be used, or the effort is spent.
    """
    rows = items_of(value, 'The objects, each {"name": ..., "rle": ...},')
    check_room(len(rows), size_hw)
    fields = [fields_of(row, "An object") for row in rows]
    if sum(map(_length_of_counts, fields)) > MAX_COUNTS:
        raise AnnotationError("The masks are too long together; send fewer objects at a time.")
    objects = (
        PhotoObject(
            row.get("name"),  # type: ignore[arg-type]
            mask_from_coco_rle(row.get("rle"), size_hw),
            row.get("predicted_iou"),
        )
        for row in fields
    )
    return PackedObjects(objects, effort)


def _length_of_counts(fields: Fields) -> int:
    rle = fields.get("rle")
    counts = rle.get("counts") if isinstance(rle, dict) else None
    return len(counts) if isinstance(counts, (str, list)) else 0


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
