"""What the readers of annotation files share: JSON, polygons, and limits on untrusted input."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, TypeVar

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, Field, TypeAdapter

from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import AnnotationError, PromptError
from mobilesam.masks import CocoRle, checked_rle
from mobilesam.objects import PhotoObject, checked_name
from mobilesam.polygons import clipped_polygon, outline_length
from mobilesam.schemas import Number, validate
from mobilesam.settings import MEGA

MAX_DOCUMENT_BYTES = 20 * MEGA
MIN_LIST_BYTES = 12  # of a large document for each list or object: parsed ones take 60 to 400
MIN_VALUE_BYTES = 3  # of a large document for each value
MAX_DOCUMENT_OBJECTS = 1000  # of one photo
MAX_MASK_PIXELS = 1000 * MEGA  # of all pictures of masks of a photo, which are decoded
MAX_COUNTS = 20 * MEGA  # characters or list items of all RLEs in a request or a reply
MAX_OUTLINE_PX = 4 * MEGA  # of all polygons of a photo: filling takes time and memory per pixel
MAX_VERTICES = 500_000  # of a polygon
MIN_OUTLINE_PX = 40.0  # the length that even the smallest polygon counts for

_CLIP_MARGIN_PX = 2.0  # polygons are cut off this far outside, where they change no pixel
MAX_TEXT = 1000  # characters of a photo's path
FAR_PX = 1e9  # coordinates beyond are moved here, so that none overflows
YAML_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Makes text, lists and dicts only: `no` is a name, not false. It follows no merge keys, which
could multiply."""
_IMAGE_DATA = re.compile(rb'"imageData"\s*:\s*"[A-Za-z0-9+/=\\]*"')

TOO_MANY = "objects beyond the limit"
TOO_SLOW = "objects that would take too long"

JsonObject = dict[str, Any]
T = TypeVar("T")
Part = TypeVar("Part")
Items = Annotated[list[T], Field(strict=True, fail_fast=True)]
"""The schema of a list that may be long: only its first error is collected."""


class SkippedError(AnnotationError):
    """One shape cannot be read; `str(error)` says what it is, in the plural, for a count."""


class LimitError(SkippedError):
    """A limit on all shapes of a photo is reached, so that the next ones will hardly fit either."""


@dataclass
class RowLimit:
    """The number of rows that can still be read from all files, and the count of the others."""

    left: int
    skipped: Counter[str]

    def first(self, rows: Iterable[T], reason: str = TOO_MANY) -> list[T]:
        """The rows within the limit; those beyond it are only counted as skipped."""
        rest = iter(rows)
        within = list(islice(rest, self.left))
        self.left -= len(within)
        if beyond := sum(1 for _ in rest):
            self.skipped[reason] += beyond
        return within


@dataclass(frozen=True, eq=False)
class Shape:
    """An object in an annotation file, none of it checked yet.

    `draw` gives its mask for a photo of the reader's size, or raises AnnotationError.
    """

    name: object
    draw: "Callable[[ObjectReader], CocoRle]"
    predicted_iou: object = None


@dataclass(frozen=True, eq=False)
class PhotoAnnotations:
    """What an annotation file says about one photo.

    Attributes:
        name: the photo's path in the file, perhaps empty.
        shapes: its objects.
        size_hw: (H, W) of the photo, if the file has it.
        sha256: of the photo's file, if the file has it.
        stem: the annotation file's own name without extension, if it is about one photo.
    """

    name: str
    shapes: Sequence[Shape]
    size_hw: tuple[int, int] | None = None
    sha256: str = ""
    stem: str = ""


class _SentObject(BaseModel):
    name: str
    rle: JsonObject
    predicted_iou: Number | None = None


_SENT_OBJECTS = TypeAdapter(Items[_SentObject])


def parse_document(data: bytes | str, max_bytes: int = MAX_DOCUMENT_BYTES) -> object:
    """Parses JSON; NaN and Infinity, which some programs write, become floats.

    Raises:
        AnnotationError: the data is not JSON, too large, too deeply nested, or has more values than
            a document of `max_bytes` usually has.
    """
    content = data.encode(errors="surrogatepass") if isinstance(data, str) else data
    if len(content) > max_bytes:
        raise AnnotationError(
            f"An annotation file can have at most {max_bytes / MEGA:g} MB. "
            "Split it into one file per photo."
        )
    lists = content.count(b"[") + content.count(b"{")
    if max(lists * MIN_LIST_BYTES, content.count(b",") * MIN_VALUE_BYTES) > max_bytes:
        raise AnnotationError(
            "This annotation file has too many values. Split it into one file per photo."
        )
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise AnnotationError(
            "This file is not JSON that can be read. "
            "Open a COCO or labelme JSON file, YOLO labels, or a ZIP of them."
        ) from None


def without_image_data(data: bytes) -> bytes:
    """JSON without the photo that labelme embeds, which can be far larger than the rest."""
    return _IMAGE_DATA.sub(b'"imageData":null', data)


def given_text(value: object) -> str:
    """Text as a file states it, not more than its last thousand characters; or empty."""
    return value[-MAX_TEXT:] if isinstance(value, str) else ""


def given_size(height: object, width: object) -> tuple[int, int] | None:
    """(H, W) as a file states it, or None if it does not."""
    if not all(type(side) in (int, float) for side in (height, width)):
        return None
    size = np.clip(np.nan_to_num([float(str(height)), float(str(width))]), 0, FAR_PX).astype(int)
    return (int(size[0]), int(size[1])) if size.all() else None


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
    objects = []
    for row in sent:
        try:
            name = checked_name(row.name.strip() or default_name)
        except PromptError as error:
            raise AnnotationError(f"An object cannot be used: {error}") from None
        rle = checked_rle(row.rle, size_hw)
        objects.append(PhotoObject(name, rle, row.predicted_iou, budget))
    return objects


@dataclass
class ObjectReader:
    """Reads the objects of one document for a photo of size (H, W), within limits.

    No mask becomes an array of the photo's size: an RLE takes time and memory for its runs, whose
    number the size of the document limits, and a polygon for the pixels on its outline.
    `outline_px`: the length of the polygons so far; `mask_pixels`: of the pictures of masks so far.
    """

    size_hw: tuple[int, int]
    budget: CpuBudget | None = None
    outline_px: float = 0.0
    mask_pixels: int = 0

    def parts(self, read: Callable[[T], Part], rows: Sequence[T]) -> list[Part]:
        """Reads the parts of one object; those that cannot be read are left out.

        Raises:
            AnnotationError: no part can be read, or the budget is spent.
        """
        parts: list[Part] = []
        for number, row in enumerate(rows, start=1):
            if self.budget and self.budget.is_spent:
                raise SkippedError(TOO_SLOW)
            try:
                parts.append(read(row))
            except AnnotationError as error:
                is_last = number == len(rows) or isinstance(error, LimitError)
                if is_last and not parts:
                    raise  # here: an error in a variable would keep the arrays in its traceback
                if is_last:
                    break
        return parts

    def charge_pixels(self, size_hw: tuple[int, int]) -> None:
        """Counts a picture of a mask, (H, W), before it is decoded.

        Raises:
            SkippedError: it has more pixels than the photo, or the pictures together would have
                more than MAX_MASK_PIXELS.
        """
        pixels = math.prod(size_hw)
        if pixels > math.prod(self.size_hw):
            raise SkippedError("masks larger than the photo")
        if self.mask_pixels + pixels > MAX_MASK_PIXELS:
            raise LimitError("masks that are too large together")
        self.mask_pixels += pixels

    def polygon(self, coordinates: object) -> NDArray[np.float64]:
        """Checks a polygon x0, y0, x1, y1, ...; with numpy, as it may have a million vertices.

        Returns (N, 2) XY, N at least 3, clipped to the photo and a small margin.

        Raises:
            SkippedError: the coordinates are not finite numbers, fewer than three points, outside
                the photo, or the outlines of the photo would be longer than MAX_OUTLINE_PX.
        """
        height, width = self.size_hw
        xy = finite_points(coordinates)
        if len(xy) < 3:
            raise SkippedError("polygons with fewer than three points")
        edge_xy = np.array([width, height], float)
        clipped = clipped_polygon(
            np.clip(xy, -FAR_PX, FAR_PX), -_CLIP_MARGIN_PX, edge_xy + _CLIP_MARGIN_PX
        )
        if not len(clipped) or (clipped.max(axis=0) < 0).any() or (clipped >= edge_xy).all(0).any():
            raise SkippedError("shapes outside the photo")
        length = max(outline_length(clipped), MIN_OUTLINE_PX)
        if self.outline_px + length > MAX_OUTLINE_PX:
            raise LimitError("polygons that are too long together")
        self.outline_px += length
        return clipped


def finite_points(coordinates: object) -> NDArray[np.float64]:
    """(N, 2) XY of a flat list x0, y0, x1, y1, ...

    Raises:
        SkippedError: it is not a list of pairs of finite numbers, or has more than MAX_VERTICES.
    """
    if isinstance(coordinates, (list, np.ndarray)) and len(coordinates) > 2 * MAX_VERTICES:
        raise SkippedError("polygons that are too long together")
    if isinstance(coordinates, (list, np.ndarray)) and len(coordinates) % 2 == 0:
        try:
            if set(map(type, coordinates)) <= {int, float, np.float64}:
                xy = np.array(coordinates, float).reshape(-1, 2)
                if np.isfinite(xy).all():
                    return xy
        except OverflowError:  # an integer of JSON can have thousands of digits
            pass
    raise SkippedError("shapes with damaged coordinates")
