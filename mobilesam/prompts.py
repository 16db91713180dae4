"""What a visitor asks: points and a box, immutable and checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import cast

from mobilesam.errors import PromptError

MAX_POINTS = 64

PointXY = tuple[float, float]
BoxXYXY = tuple[float, float, float, float]


@dataclass(frozen=True)
class Prompt:
    """Points and at most one box, combined in one question to the mask decoder.

    Coordinates are pixels of the upright original photo. Any sequences are accepted and kept as
    tuples of floats; a box given from any corner is turned into (x0, y0, x1, y1) with x0 < x1 and
    y0 < y1.

    Attributes:
        point_coords: (N, 2) XY.
        point_labels: (N,) 1 for foreground, 0 for background.
        box: XYXY, or None.

    Raises:
        PromptError: wrong shapes, labels other than 0 and 1, NaN or infinite coordinates, more
            than 64 points, or a box without width or height.
    """

    point_coords: Sequence[PointXY] = field(default=())
    point_labels: Sequence[int] = field(default=())
    box: BoxXYXY | None = None

    def __post_init__(self) -> None:
        """Normalises to tuples and checks everything that needs no photo."""
        coords = tuple(checked_point(point) for point in _items(self.point_coords))
        labels = tuple(checked_label(label) for label in _items(self.point_labels))
        if len(coords) != len(labels):
            raise PromptError(f"There are {len(coords)} points but {len(labels)} labels.")
        if len(coords) > MAX_POINTS:
            raise PromptError(f"At most {MAX_POINTS} points can be used at once.")
        object.__setattr__(self, "point_coords", coords)
        object.__setattr__(self, "point_labels", labels)
        object.__setattr__(self, "box", None if self.box is None else _box(self.box))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return not self.point_coords and self.box is None

    @property
    def is_single_point(self) -> bool:
        """Whether it is one point alone: the ambiguous case in which SAM offers three masks."""
        return len(self.point_coords) == 1 and self.box is None

    def add_point(self, x: float, y: float, label: int) -> Prompt:
        """The prompt with one more point."""
        return Prompt((*self.point_coords, (x, y)), (*self.point_labels, label), self.box)

    def set_box(self, box: BoxXYXY | None) -> Prompt:
        """The prompt with this box in place of its own."""
        return Prompt(self.point_coords, self.point_labels, box)

    def check_answerable(self, size_hw: tuple[int, int]) -> None:
        """Checks what needs the photo.

        Args:
            size_hw: (H, W) of the upright original.

        Raises:
            PromptError: nothing is asked, or a point or the box lies outside the photo.
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


def prompt_from_rows(points: object, box: object) -> Prompt:
    """A prompt from JSON, trusting nothing.

    Args:
        points: [[x, y, label], ...], or None for no points.
        box: [x0, y0, x1, y1], or None for no box.

    Raises:
        PromptError: it is anything else, or a prompt that cannot be.
    """
    rows = points if points is not None else []
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == 3 for row in rows
    ):
        raise PromptError("points is a list of [x, y, label].")
    return Prompt(
        [(x, y) for x, y, _ in rows], [label for _, _, label in rows], cast("BoxXYXY | None", box)
    )


def _items(value: object) -> Sequence[object]:
    if hasattr(value, "tolist"):  # numpy arrays and torch tensors
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return value
    raise PromptError("Points, labels and boxes are given as lists.")


def _numbers(value: object, count: int, what: str) -> tuple[float, ...]:
    items = _items(value)
    if len(items) != count or not all(
        isinstance(item, Real) and not isinstance(item, bool) for item in items
    ):
        raise PromptError(f"{what}: {count} numbers.")
    try:
        numbers = tuple(float(cast(float, item)) for item in items)
    except OverflowError:
        numbers = (math.inf,)
    if not all(math.isfinite(number) for number in numbers):
        raise PromptError("Coordinates must be finite numbers.")
    return numbers


def checked_point(value: object) -> PointXY:
    """A point from anywhere as two floats.

    Raises:
        PromptError: it is not two finite numbers.
    """
    x, y = _numbers(value, 2, "A point is x and y")
    return x, y


def checked_label(value: object) -> int:
    """A label from anywhere.

    Raises:
        PromptError: it is neither 1 nor 0.
    """
    if isinstance(value, Real) and not isinstance(value, bool) and value in (0, 1):
        return int(value == 1)
    raise PromptError("A point's label is 1 (foreground) or 0 (background).")


def _box(value: object) -> BoxXYXY:
    x0, y0, x1, y1 = _numbers(value, 4, "A box is x0, y0, x1 and y1")
    if x0 == x1 or y0 == y1:
        raise PromptError("The box is empty: drag it over an area.")
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
