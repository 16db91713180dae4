"""Named objects of one photo: what the page saves and what annotation files contain."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, get_args

import numpy as np
from pydantic import TypeAdapter

from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import PromptError
from mobilesam.masks import CocoRle, Mask, mask_from_coco_rle, mask_to_coco_rle, rle_area
from mobilesam.schemas import Number, Plain, validate

MAX_NAME = 80
"""Characters of an object's name."""

MAX_OBJECTS = 100
"""Objects of a photo that the page can hold."""

Keep = Literal["later", "predicted_iou"]
"""Which of several overlapping objects keeps a pixel, see `PackedObjects.exclusive`."""

_PREDICTED_IOU = TypeAdapter(Annotated[Number | None, Plain])


@dataclass(frozen=True, eq=False)
class PhotoObject:
    """One object in a photo.

    Attributes:
        name: the class name, as normalised by `checked_name`.
        mask: (H, W) bool at the photo's own size; do not modify it.
        predicted_iou: the mask decoder's own estimate, or None if there is none.

    Raises:
        PromptError: the name is empty or too long, the mask is not (H, W) bool, or predicted_iou
            is not a finite number.
    """

    name: str
    mask: Mask
    predicted_iou: float | None = None

    def __post_init__(self) -> None:
        """Checks all fields and normalises the name."""
        object.__setattr__(self, "name", checked_name(self.name))
        mask = self.mask
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.ndim != 2:
            raise PromptError("An object's mask must be an (H, W) bool array.")
        if 0 in mask.shape:
            raise PromptError("An object's mask must have at least one pixel.")
        iou = validate(_PREDICTED_IOU, self.predicted_iou, name="A predicted IoU")
        object.__setattr__(self, "predicted_iou", iou)

    @property
    def size_hw(self) -> tuple[int, int]:
        """(H, W) of the photo."""
        return self.mask.shape[0], self.mask.shape[1]


def checked_name(name: object) -> str:
    """Normalises a name to one line: collapses white space, removes unprintable characters.

    Control and format characters and lone surrogates would break line-based formats, hide or
    reverse the text after them, or cannot be encoded as UTF-8.

    Raises:
        PromptError: the name is not text, is empty, or has more than MAX_NAME characters.
    """
    if not isinstance(name, str):
        raise PromptError("An object's name must be text.")
    spaced = " ".join(name.split())
    # Split again: removing a character can leave two adjacent spaces.
    clean = " ".join("".join(c for c in spaced if c.isprintable()).split())
    if not clean:
        raise PromptError("Give the object a name.")
    if len(clean) > MAX_NAME:
        raise PromptError(f"An object's name can have at most {MAX_NAME} characters.")
    return clean


@dataclass(frozen=True, eq=False)
class _PackedObject:
    """A PhotoObject with its mask as RLE."""

    name: str
    rle: CocoRle
    predicted_iou: float | None

    @property
    def size_hw(self) -> tuple[int, int]:
        height, width = self.rle["size"]
        return height, width

    @classmethod
    def pack(cls, item: PhotoObject) -> _PackedObject:
        return cls(item.name, mask_to_coco_rle(item.mask), item.predicted_iou)

    def unpack(self) -> PhotoObject:
        mask = mask_from_coco_rle(self.rle, self.size_hw)
        return PhotoObject(self.name, mask, self.predicted_iou)


class PackedObjects(Sequence[PhotoObject]):
    """A sequence of objects that stores masks as RLE and decodes each one on access.

    As arrays, a hundred masks of a large photo would take gigabytes.
    """

    def __init__(self, objects: Iterable[PhotoObject], budget: CpuBudget | None = None) -> None:
        """Packs the objects one by one, so that an iterator needs memory for one mask only.

        The budget limits the time spent here and on later accesses; PromptError if it is exhausted.
        """
        self._budget = budget
        self._packed: list[_PackedObject] = []
        for item in objects:
            self._packed.append(_PackedObject.pack(item))
            self._check_budget()

    def __len__(self) -> int:
        """The number of objects."""
        return len(self._packed)

    def __getitem__(self, at: Any) -> Any:
        """Decodes the object at an index."""
        self._check_budget()
        return self._packed[at].unpack()

    @property
    def sizes_hw(self) -> list[tuple[str, tuple[int, int]]]:
        """Name and (H, W) of each object, without decoding masks."""
        return [(packed.name, packed.size_hw) for packed in self._packed]

    @property
    def rles(self) -> list[CocoRle]:
        """The mask of each object as RLE."""
        return [packed.rle for packed in self._packed]

    def without_empty(self) -> PackedObjects:
        """The objects whose mask is not empty."""
        return self._with([packed for packed in self._packed if rle_area(packed.rle)])

    def exclusive(self, keep: Keep = "later") -> PackedObjects:
        """Removes overlaps: each pixel of the masks stays in exactly one of them.

        Args:
            keep: which object keeps a pixel that several contain: `"later"`, the last in order, or
                `"predicted_iou"`, the one with the highest predicted IoU (None counts as lowest;
                the later one wins a tie).

        Returns:
            As many objects in the same order; a mask may have become empty.

        Raises:
            PromptError: the masks differ in size, or `keep` is unknown.
        """
        if keep not in get_args(Keep):
            raise PromptError('Overlaps are removed by "later" or "predicted_iou".')
        result = list(self._packed)
        if not result:
            return self
        check_sizes(self, result[0].size_hw)
        order = list(range(len(result)))
        if keep == "predicted_iou":
            ious = [packed.predicted_iou for packed in result]
            ranks = [-math.inf if iou is None else iou for iou in ious]
            order.sort(key=lambda index: ranks[index])
        taken = np.zeros(result[0].size_hw, bool)
        for index in reversed(order):
            item = self[index]
            result[index] = _PackedObject.pack(replace(item, mask=item.mask & ~taken))
            taken |= item.mask
        return self._with(result)

    def _with(self, packed: list[_PackedObject]) -> PackedObjects:
        result = PackedObjects([], self._budget)
        result._packed = packed
        return result

    def _check_budget(self) -> None:
        if self._budget:
            self._budget.check()


def check_sizes(objects: Iterable[PhotoObject], size_hw: tuple[int, int]) -> None:
    """Raises PromptError unless every mask has the photo's size, (H, W)."""
    if isinstance(objects, PackedObjects):
        sizes = objects.sizes_hw
    else:
        sizes = [(item.name, item.size_hw) for item in objects]
    for name, (height, width) in sizes:
        if (height, width) != tuple(size_hw):
            raise PromptError(
                f'The mask of "{name}" is {width} x {height}, '
                f"but the photo is {size_hw[1]} x {size_hw[0]}."
            )
