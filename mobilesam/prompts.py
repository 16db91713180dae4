"""Prompts: points and a box, validated and immutable."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Self

from pydantic import AfterValidator, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from mobilesam.errors import PromptError
from mobilesam.schemas import Label, Number, Plain, Validated, listed, validate

MAX_POINTS = 64

PointXY = tuple[Number, Number]
BoxXYXY = tuple[Number, Number, Number, Number]


def _ordered(box: BoxXYXY) -> BoxXYXY:
    x0, y0, x1, y1 = box
    if x0 == x1 or y0 == y1:
        raise PromptError("The box is empty. Drag it over an area.")
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


Box = Annotated[BoxXYXY, listed("x0", "y0", "x1", "y1"), AfterValidator(_ordered)]


@dataclass(frozen=True)
class Prompt(Validated):
    """Points and at most one box that describe one object.

    Sequences, numpy arrays and torch tensors are accepted and stored as tuples.

    Attributes:
        point_coords: (N, 2) XY in pixels of the upright photo; N is at most 64.
        point_labels: (N,) 1 for foreground, 0 for background.
        box: XYXY in pixels of the upright photo, from any two opposite corners; stored with
            x0 < x1 and y0 < y1.

    Raises:
        PromptError: an argument is anything else.
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
        """Whether it is one point alone, which is ambiguous: SAM returns three masks for it."""
        return len(self.point_coords) == 1 and self.box is None

    def add_point(self, x: float, y: float, label: int) -> Self:
        """A copy with one more point."""
        coords, labels = (*self.point_coords, (x, y)), (*self.point_labels, label)
        return replace(self, point_coords=coords, point_labels=labels)

    def set_box(self, box: BoxXYXY | None) -> Self:
        """A copy with another box, or without one."""
        return replace(self, box=box)

    def is_within(self, xyxy: BoxXYXY) -> bool:
        """Whether all points and the box lie within a rectangle, its border included."""
        x0, y0, x1, y1 = xyxy
        corners = (self.box[:2], self.box[2:]) if self.box else ()
        return all(x0 <= x <= x1 and y0 <= y <= y1 for x, y in (*self.point_coords, *corners))

    def check_answerable(self, size_hw: tuple[int, int]) -> None:
        """Raises PromptError if it is empty or not within an upright photo of size (H, W)."""
        if self.is_empty:
            raise PromptError("Give at least one point or a box.")
        check_inside(self.point_coords, size_hw, "The point")
        if self.box is not None:
            check_inside([self.box[:2], self.box[2:]], size_hw, "The box's corner")


def check_inside(points: Iterable[PointXY], size_hw: tuple[int, int], subject: str) -> None:
    """Raises PromptError about `subject` if a point lies outside a photo of size (H, W)."""
    height, width = size_hw
    for x, y in points:
        if not (0 <= x <= width and 0 <= y <= height):
            raise PromptError(f"{subject} ({x:g}, {y:g}) is outside the {width} x {height} photo.")


_PointRow = Annotated[tuple[Number, Number, Label], listed("x", "y", "label")]
_ROWS = TypeAdapter(Annotated[list[_PointRow], Field(strict=True, max_length=MAX_POINTS)] | None)


def prompt_from_rows(points: object, box: object) -> Prompt:
    """Reads a prompt from JSON: [[x, y, label], ...] or None, [x0, y0, x1, y1] or None."""
    rows = validate(_ROWS, points, name="points") or []
    return Prompt([(x, y) for x, y, _ in rows], [label for _, _, label in rows], box)  # type: ignore[arg-type]
