"""Prompts: points and a box, validated and immutable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from mobilesam.errors import PromptError
from mobilesam.schemas import Label, Number, Plain, Validated, listed, validate

MAX_POINTS = 64

PointXY = tuple[Number, Number]
BoxXYXY = tuple[Number, Number, Number, Number]


def _ordered(box: BoxXYXY) -> BoxXYXY:
    """The box as (x0, y0, x1, y1) with x0 < x1 and y0 < y1, from any two opposite corners."""
    x0, y0, x1, y1 = box
    if x0 == x1 or y0 == y1:
        raise PromptError("The box is empty. Drag it over an area.")
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


Box = Annotated[BoxXYXY, listed("x0", "y0", "x1", "y1"), AfterValidator(_ordered)]
"""The schema of a box."""


@dataclass(frozen=True)
class Prompt(Validated):
    """Points and at most one box, which the mask decoder answers together.

    Coordinates are pixels of the upright original photo. Sequences, numpy arrays and torch tensors
    are accepted and stored as tuples of floats. A box may be given from any corner; it is stored as
    (x0, y0, x1, y1) with x0 < x1 and y0 < y1.

    Attributes:
        point_coords: (N, 2) XY.
        point_labels: (N,) 1 for foreground, 0 for background.
        box: XYXY, or None.

    Raises:
        PromptError: wrong shapes, labels other than 0 and 1, NaN or infinite coordinates, more
            than 64 points, or a box without width or height.
    """

    point_coords: Annotated[Sequence[Annotated[PointXY, listed("x", "y")]], Plain] = ()
    point_labels: Annotated[Sequence[Label], Plain] = ()
    box: Annotated[Box | None, Plain] = None

    def __post_init__(self) -> None:
        """Checks the numbers of points and labels."""
        points, labels = len(self.point_coords), len(self.point_labels)
        if points != labels:
            raise PromptError(f"There are {points} points but {labels} labels.")
        if points > MAX_POINTS:
            raise PromptError(f"A prompt can have at most {MAX_POINTS} points.")

    @property
    def is_empty(self) -> bool:
        """Whether there is neither a point nor a box."""
        return not self.point_coords and self.box is None

    @property
    def is_single_point(self) -> bool:
        """Whether it is one point alone: the ambiguous case in which SAM returns three masks."""
        return len(self.point_coords) == 1 and self.box is None

    def add_point(self, x: float, y: float, label: int) -> Prompt:
        """A copy with one more point."""
        return Prompt((*self.point_coords, (x, y)), (*self.point_labels, label), self.box)

    def set_box(self, box: BoxXYXY | None) -> Prompt:
        """A copy with another box, or without one."""
        return Prompt(self.point_coords, self.point_labels, box)

    def check_answerable(self, size_hw: tuple[int, int]) -> None:
        """Checks the prompt against the (H, W) of the upright photo.

        Raises:
            PromptError: the prompt is empty, or a point or the box lies outside the photo.
        """
        height, width = size_hw
        if self.is_empty:
            raise PromptError("Give at least one point or a box.")
        for x, y in self.point_coords:
            if not (0 <= x <= width and 0 <= y <= height):
                raise PromptError(
                    f"The point ({x:g}, {y:g}) is outside the {width} x {height} photo."
                )
        if self.box is not None:
            x0, y0, x1, y1 = self.box
            if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
                raise PromptError(
                    f"The box ({x0:g}, {y0:g}, {x1:g}, {y1:g}) reaches outside the "
                    f"{width} x {height} photo."
                )


_PointRow = Annotated[tuple[Number, Number, Label], listed("x", "y", "label")]
_ROWS = TypeAdapter(Annotated[list[_PointRow], Field(strict=True, max_length=MAX_POINTS)] | None)


def prompt_from_rows(points: object, box: object) -> Prompt:
    """A prompt from JSON: [[x, y, label], ...] or None, and [x0, y0, x1, y1] or None.

    Raises:
        PromptError: the input has another form, or makes no valid prompt.
    """
    rows = validate(_ROWS, points, name="points") or []
    return Prompt([(x, y) for x, y, _ in rows], [label for _, _, label in rows], box)  # type: ignore[arg-type]
