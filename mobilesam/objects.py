"""Named objects of one photo: what the page saves and what annotation files contain."""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, get_args

import numpy as np
from pydantic import Field, TypeAdapter

from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import PromptError
from mobilesam.masks import (
    CocoRle,
    Mask,
    mask_crop,
    mask_from_coco_rle,
    mask_to_coco_rle,
    rle_area,
    rle_from_crop,
)
from mobilesam.schemas import Number, Plain, expected, validate

MAX_NAME = 80  # characters
MAX_OBJECTS = 1000  # of a photo that the page can hold
PALETTE = (
    "#1e8aff",
    "#f97316",
    "#22c55e",
    "#d946ef",
    "#facc15",
    "#ef4444",
    "#06b6d4",
    "#a3e635",
    "#f472b6",
    "#a16207",
    "#8b5cf6",
)
"""Colours of objects without one of their own, by index; `static/core/palette.js` has the same."""
Keep = Literal["later", "predicted_iou"]

_MAX_RAW_NAME = 50 * MAX_NAME  # before it is normalised, as NFC takes quadratic time
_TOO_LONG = f"An object's name can have at most {MAX_NAME} characters."
_JOINERS = re.compile("[\u200c\u200d]+")
_VIRAMA = 9  # its combining class
_PREDICTED_IOU = TypeAdapter(Annotated[Number | None, Plain])
_Rgb = Annotated[str, Field(strict=True, pattern=r"\A#[0-9a-fA-F]{6}\z")]
_COLOUR = TypeAdapter(Annotated[_Rgb | None, expected('like "#1e8aff"')])


class PhotoObject:
    """One object in a photo; its mask is stored as RLE, because many arrays would take gigabytes.

    Attributes:
        name: the class name, as normalised by `checked_name`.
        rle: the mask at the photo's own size.
        predicted_iou: the mask decoder's own estimate, or None if there is none.
        colour: "#rrggbb" in sRGB, as the page shows the object; None for one of PALETTE.
        budget: if given, it is checked here and on every access to the mask.
    """

    def __init__(
        self,
        name: str,
        mask: Mask | CocoRle,
        predicted_iou: float | None = None,
        budget: CpuBudget | None = None,
        colour: str | None = None,
    ) -> None:
        """Checks the arguments and encodes the mask, unless it is an RLE of `checked_rle`.

        Raises:
            PromptError: the name is empty or too long, the mask is not (H, W) bool, predicted_iou
                is not a finite number, the colour is not "#rrggbb", or the budget is spent.
        """
        if not isinstance(mask, dict):
            is_mask = isinstance(mask, np.ndarray) and mask.dtype == np.bool_ and mask.ndim == 2
            if not (is_mask and mask.size):
                raise PromptError("An object's mask must be an (H, W) bool array with pixels.")
            mask = mask_to_coco_rle(mask)
        self.name = checked_name(name)
        self.rle = mask
        self.predicted_iou = validate(_PREDICTED_IOU, predicted_iou, name="A predicted IoU")
        self.colour = validate(_COLOUR, colour, name="A colour")
        self.budget = budget
        if budget:
            budget.check()

    @property
    def size_hw(self) -> tuple[int, int]:
        """(H, W) of the photo."""
        height, width = self.rle["size"]
        return height, width

    @property
    def area(self) -> int:
        """Number of pixels in the mask."""
        return rle_area(self.rle)

    @property
    def mask(self) -> Mask:
        """(H, W) bool, decoded on every access."""
        if self.budget:
            self.budget.check()
        return mask_from_coco_rle(self.rle, self.size_hw)

    def crop(self) -> tuple[tuple[int, int], Mask]:
        """The mask within its bounding box, and the box's corner, as `mask_crop` returns them."""
        if self.budget:
            self.budget.check()
        return mask_crop(self.rle)


def checked_name(name: object) -> str:
    """Normalises a name to one line in NFC: collapses white space, removes unprintable characters.

    Control and format characters and lone surrogates would break line-based formats, hide or
    reverse the text after them, or cannot be encoded as UTF-8. The joiners U+200C and U+200D stay
    within words and after a virama, where they change what the letters mean or look like.
    """
    if not isinstance(name, str):
        raise PromptError("An object's name must be text.")
    if len(name) > _MAX_RAW_NAME:
        raise PromptError(_TOO_LONG)
    spaced = " ".join(unicodedata.normalize("NFC", name).split())
    printable = "".join(c for c in spaced if c.isprintable() or _JOINERS.match(c))
    # Again: removing a character can leave two adjacent spaces, or letters that compose.
    joined = " ".join(_JOINERS.sub(_joiner, printable).split())
    clean = unicodedata.normalize("NFC", joined)
    if not clean:
        raise PromptError("Give the object a name.")
    if len(clean) > MAX_NAME:
        raise PromptError(_TOO_LONG)
    return clean


def _joiner(found: re.Match[str]) -> str:
    """What stays of joiners: one between two characters or after a virama (UAX #31, 2.3)."""
    start, end = found.span()
    before, after = found.string[max(start - 1, 0) : start], found.string[end : end + 1]
    is_at_end = not after.strip() and unicodedata.combining(before or " ") != _VIRAMA
    return "" if is_at_end or not before.strip() else found[0][0]


def remove_overlaps(objects: Sequence[PhotoObject], keep: Keep) -> list[PhotoObject]:
    """Leaves each pixel of one or more masks of the same size in exactly one of them.

    A pixel that several objects contain is kept by the last in order (`"later"`), or by the one
    with the highest predicted IoU (`"predicted_iou"`; None counts as lowest; the later one wins a
    tie). Returns as many objects in the same order; a mask may have become empty.
    """
    if keep not in get_args(Keep):
        raise PromptError('Overlaps are removed by "later" or "predicted_iou".')
    size_hw = objects[0].size_hw
    check_sizes(objects, size_hw)
    ious = [item.predicted_iou if keep == "predicted_iou" else None for item in objects]
    ranks = [-math.inf if iou is None else iou for iou in ious]
    order = sorted(range(len(objects)), key=ranks.__getitem__)
    taken = np.zeros(size_hw, bool)
    result = list(objects)
    for index in reversed(order):
        item = objects[index]
        corner, mask = item.crop()
        taken_there = taken[_box(corner, mask)]
        mask &= ~taken_there
        taken_there |= mask
        rle = rle_from_crop(corner, mask, size_hw)
        result[index] = PhotoObject(item.name, rle, item.predicted_iou, item.budget, item.colour)
    return result


def union_mask(objects: Sequence[PhotoObject]) -> Mask:
    """The (H, W) bool mask of one or more objects together."""
    union = np.zeros(objects[0].size_hw, np.bool_)
    for item in objects:
        corner, mask = item.crop()
        union[_box(corner, mask)] |= mask
    return union


def _box(corner_xy: tuple[int, int], crop: Mask) -> tuple[slice, slice]:
    """Where a crop lies in the photo."""
    (x, y), (height, width) = corner_xy, crop.shape
    return slice(y, y + height), slice(x, x + width)


def check_sizes(objects: Iterable[PhotoObject], size_hw: tuple[int, int]) -> None:
    """Raises PromptError unless every mask has the photo's size, (H, W)."""
    for item in objects:
        height, width = item.size_hw
        if (height, width) != tuple(size_hw):
            raise PromptError(
                f'The mask of "{item.name}" is {width} x {height}, '
                f"but the photo is {size_hw[1]} x {size_hw[0]}."
            )
