"""What the readers of annotation files share: JSON, polygons, and limits on untrusted input."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, TypeAdapter

from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import AnnotationError, PromptError
from mobilesam.masks import CocoRle, Mask, checked_rle
from mobilesam.objects import PhotoObject, checked_name
from mobilesam.polygons import outline_length
from mobilesam.schemas import Number, validate
from mobilesam.settings import MEGA

MAX_DOCUMENT_BYTES = 20 * MEGA
MAX_DOCUMENT_OBJECTS = 1000  # of one photo
MAX_MASK_PIXELS = 1000 * MEGA  # of all masks of a photo: 500 objects of 2 megapixels
MAX_COUNTS = 20 * MEGA  # characters or list items of all RLEs that a client sends with a photo
MAX_OUTLINE_PX = 4 * MEGA  # of all polygons of a photo: filling takes time and memory per pixel
MIN_OUTLINE_PX = 40.0  # the length that even the smallest polygon counts for
MAX_OUTSIDE_PX = 1.0  # vertices this far outside are moved in, since programs round differently

_BAD_POLYGON = "A polygon must have at least three points, each of two numbers."

JsonObject = dict[str, Any]
T = TypeVar("T")
NamedMask: TypeAlias = tuple[str, Mask | CocoRle, float | None]
"""The name, the (H, W) mask or its checked RLE, and the predicted IoU of an object."""
Items = Annotated[list[T], Field(strict=True, fail_fast=True)]
"""The schema of a list that may be long: only its first error is collected."""


class _SentObject(BaseModel):
    name: str
    rle: JsonObject
    predicted_iou: Number | None = None


_SENT_OBJECTS = TypeAdapter(Items[_SentObject])


def parse_document(data: bytes | str, max_bytes: int = MAX_DOCUMENT_BYTES) -> object:
    """Parses JSON.

    Raises:
        AnnotationError: the data is not JSON, too large or too deeply nested.
    """
    if len(data) > max_bytes:
        raise AnnotationError(
            f"An annotation file can have at most {max_bytes / MEGA:g} MB. "
            "Split it into one file per photo."
        )
    try:
        return json.loads(data, parse_constant=int)  # int() refuses NaN and Infinity
    except (ValueError, RecursionError):
        raise AnnotationError(
            "This file is not JSON that can be read. Open a COCO or labelme JSON file."
        ) from None


def validate_file(model: type[T], document: object, file_format: str) -> T:
    """Validates parsed JSON against the schema of `"COCO"` or `"labelme"` files."""
    try:
        return validate(model, document, AnnotationError, "it")
    except AnnotationError as error:
        raise AnnotationError(f"This {file_format} file cannot be read: {error}") from None


def read_objects(
    rows: object,
    size_hw: tuple[int, int],
    budget: CpuBudget | None = None,
    default_name: str = "",
) -> list[PhotoObject]:
    """Reads the objects that a client sends for a photo of size (H, W).

    `rows` is parsed JSON, a list of {"name", "rle", "predicted_iou"}; the last is optional. Blank
    names become the `default_name`. `budget`: see `PhotoObject`.

    Raises:
        AnnotationError: the list cannot be read, or a mask has another size.
        PromptError: the budget is spent.
    """
    sent = validate(_SENT_OBJECTS, rows, AnnotationError, "objects")
    counts = [row.rle.get("counts") for row in sent]
    if sum(len(item) for item in counts if isinstance(item, (str, list))) > MAX_COUNTS:
        raise AnnotationError("The masks are too long together. Send fewer objects at a time.")
    if len(sent) > MAX_DOCUMENT_OBJECTS:
        raise AnnotationError(
            f"There are {len(sent)} objects; at most {MAX_DOCUMENT_OBJECTS} can be read at a time."
        )
    found = (
        (row.name.strip() or default_name, checked_rle(row.rle, size_hw), row.predicted_iou)
        for row in sent
    )
    return _checked_objects(found, budget)


def _checked_objects(found: Iterable[NamedMask], budget: CpuBudget | None) -> list[PhotoObject]:
    """Makes the objects one by one; AnnotationError if a name is invalid."""
    objects = []
    for name, mask, predicted_iou in found:
        try:
            clean = checked_name(name)
        except PromptError as error:
            raise AnnotationError(f"An object cannot be used: {error}") from None
        objects.append(PhotoObject(clean, mask, predicted_iou, budget))
    return objects


@dataclass
class ObjectReader:
    """Reads the objects of one document for a photo of size (H, W), within limits.

    `budget`: see `PhotoObject`; `outline_px`: the length of the polygons so far.
    """

    size_hw: tuple[int, int]
    budget: CpuBudget | None = None
    outline_px: float = 0.0

    def check_photo_size(self, height: float | None, width: float | None) -> None:
        """Raises AnnotationError if the document is for a photo of another size."""
        if (height, width) != tuple(self.size_hw):
            raise AnnotationError(
                f"These annotations are for a photo of another size. "
                f"This photo is {self.size_hw[1]} x {self.size_hw[0]}."
            )

    def objects(self, found: Iterable[NamedMask], count: int) -> list[PhotoObject]:
        """Makes the objects one by one, if `count` is not too high for the photo's size."""
        most = min(MAX_DOCUMENT_OBJECTS, MAX_MASK_PIXELS // math.prod(self.size_hw))
        if count > most:
            raise AnnotationError(
                f"There are {count} objects; at most {most} can be read for a photo of this size."
            )
        return _checked_objects(found, self.budget)

    def polygon(self, coordinates: Sequence[Any]) -> NDArray[np.float64]:
        """Like `corners`, but counts the length; AnnotationError above MAX_OUTLINE_PX."""
        polygon = self.corners(coordinates)
        self.outline_px += max(outline_length(polygon), MIN_OUTLINE_PX)
        if self.outline_px > MAX_OUTLINE_PX:
            raise AnnotationError("The polygons are too long together. Simplify them.")
        return polygon

    def corners(self, coordinates: Sequence[Any]) -> NDArray[np.float64]:
        """Checks a polygon x0, y0, x1, y1, ...; with numpy, as it may have a million vertices.

        Returns (N, 2) XY within the photo, N at least 3.

        Raises:
            AnnotationError: the coordinates are not finite numbers, fewer than three points, or a
                point lies outside the photo.
        """
        height, width = self.size_hw
        count = len(coordinates)
        if count < 6 or count % 2 or not set(map(type, coordinates)) <= {int, float}:
            raise AnnotationError(_BAD_POLYGON)
        try:
            xy = np.array(coordinates, float).reshape(-1, 2)
        except OverflowError:  # an integer of JSON can have thousands of digits
            xy = np.full((1, 2), 2.0 * max(self.size_hw))
        if not np.isfinite(xy).all():
            raise AnnotationError(_BAD_POLYGON)
        inside: NDArray[np.float64] = np.clip(xy, 0, (width, height))
        if np.abs(xy - inside).max() > MAX_OUTSIDE_PX:
            raise AnnotationError(f"A polygon extends outside the {width} x {height} photo.")
        return inside
