"""Outlines of objects, within limits on the time that polygons take."""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, TypeAdapter

from mobilesam.errors import PromptError
from mobilesam.objects import PhotoObject
from mobilesam.polygons import Outline, count_parts_and_holes, mask_outlines
from mobilesam.schemas import Number, validate
from mobilesam.settings import MEGA

MAX_EDGES = 5 * MEGA  # pixel edges of all masks that polygons follow; real objects have thousands
MAX_MASK_EDGES = MAX_EDGES // 10  # of one mask: the CPU budget is checked between masks
MAX_OUTLINES = 1000  # parts and holes of one mask; real objects have a few

MAX_TOLERANCE_PX = 100.0
POLYGON_FORMATS = ("coco_polygons", "yolo", "labelme")

_TOLERANCE = TypeAdapter(Annotated[Number, Field(ge=0, le=MAX_TOLERANCE_PX)])


def checked_tolerance(value: object) -> float:
    """By how many pixels polygons may be simplified; PromptError unless it is 0 to 100."""
    return validate(_TOLERANCE, value, name="tolerance")


def object_outlines(
    item: PhotoObject, frame: Literal["edges", "centres"], tolerance: float = 0.0
) -> list[Outline]:
    """The outlines of an object's parts in the photo, see `mask_outlines`."""
    corner, mask = item.crop()
    return [outline + np.array(corner) for outline in mask_outlines(mask, frame, tolerance)]


def count_vertices(objects: Sequence[PhotoObject], tolerance: float = 0.0) -> int:
    """How many vertices the polygons of all objects have; PromptError if they are too ragged."""
    check_polygon_cost(objects)
    outlines = (object_outlines(item, "edges", tolerance) for item in objects if item.area)
    return sum(len(outline) for parts in outlines for outline in parts)


def check_polygon_cost(objects: Sequence[PhotoObject]) -> None:
    """Raises PromptError if tracing the polygons of all masks would take more than seconds."""
    total = 0
    for item in objects:
        mask = np.pad(item.crop()[1], 1)
        edges = int(np.count_nonzero(mask[:, 1:] != mask[:, :-1]))
        edges += int(np.count_nonzero(mask[1:] != mask[:-1]))
        total += edges
        is_ragged = edges > MAX_MASK_EDGES or sum(count_parts_and_holes(mask)) > MAX_OUTLINES
        if is_ragged or total > MAX_EDGES:
            raise PromptError("These masks are too ragged for polygons. Export them as coco_rle.")
