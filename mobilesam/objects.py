"""Named objects of one photo: what a visitor keeps and what annotation files hold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Literal, cast, overload

import numpy as np

from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import PromptError
from mobilesam.masks import CocoRle, Mask, mask_from_coco_rle, mask_to_coco_rle, rle_area

MAX_NAME = 80

Keep = Literal["later", "predicted_iou"]


@dataclass(frozen=True, eq=False)
class PhotoObject:
    """One thing in a photo.

    Attributes:
        name: what it is, as `checked_name` leaves it.
        mask: (H, W) bool at the photo's own size; not to be changed.
        predicted_iou: the decoder's own estimate, or None where nobody estimated.

    Raises:
        PromptError: the name is empty or too long, the mask is not (H, W) bool, or predicted_iou
            is not a finite number.
    """

    name: str
    mask: Mask
    predicted_iou: float | None = None

    def __post_init__(self) -> None:
        """Checks everything and tidies the name."""
        object.__setattr__(self, "name", checked_name(self.name))
        mask = self.mask
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.ndim != 2:
            raise PromptError("An object's mask is an (H, W) bool array.")
        if 0 in mask.shape:
            raise PromptError("An object's mask has no pixels.")
        if self.predicted_iou is not None:
            object.__setattr__(self, "predicted_iou", _finite(self.predicted_iou))

    @property
    def size_hw(self) -> tuple[int, int]:
        """(H, W) of the photo."""
        return self.mask.shape[0], self.mask.shape[1]


def checked_name(name: object) -> str:
    """The name on one line: white space becomes single spaces, what cannot be printed goes.

    What goes is control and format characters and lone surrogates: they would break lines of text
    formats, hide or reverse what follows, or have no UTF-8.

    Raises:
        PromptError: it is not text, nothing of it is left, or it has more than 80 characters.
    """
    if not isinstance(name, str):
        raise PromptError("An object's name is text.")
    spaced = " ".join(name.split())
    # Once more: a character that goes may have had a space on either side.
    clean = " ".join("".join(c for c in spaced if c.isprintable()).split())
    if not clean:
        raise PromptError("Give the object a name.")
    if len(clean) > MAX_NAME:
        raise PromptError(f"An object's name has at most {MAX_NAME} characters.")
    return clean


class PackedObjects(Sequence[PhotoObject]):
    """Objects that lie in memory as run lengths; a mask is made when it is looked at.

    A hundred masks of a large photo would be gigabytes.
    """

    def __init__(self, objects: Iterable[PhotoObject], effort: CpuBudget | None = None) -> None:
        """Takes the objects one by one.

        Args:
            objects: to be packed.
            effort: bounds what is done with them, here and whenever one is looked at.

        Raises:
            PromptError: the effort is spent.
        """
        self._effort = effort
        self._packed = []
        for item in objects:
            self._packed.append(_packed(item))
            self._check()

    def __len__(self) -> int:
        """How many objects there are."""
        return len(self._packed)

    @overload
    def __getitem__(self, at: int) -> PhotoObject: ...

    @overload
    def __getitem__(self, at: slice) -> list[PhotoObject]: ...

    def __getitem__(self, at: int | slice) -> PhotoObject | list[PhotoObject]:
        """The object at a place, with its mask."""
        self._check()
        if isinstance(at, slice):
            return [_unpacked(*packed) for packed in self._packed[at]]
        return _unpacked(*self._packed[at])

    @property
    def sizes_hw(self) -> list[tuple[str, tuple[int, int]]]:
        """Name and (H, W) of each, without a look at the masks."""
        return [(name, (rle["size"][0], rle["size"][1])) for name, rle, _ in self._packed]

    @property
    def rles(self) -> list[CocoRle]:
        """The mask of each as it is packed."""
        return [rle for _, rle, _ in self._packed]

    def without_empty(self) -> PackedObjects:
        """Those whose mask has a pixel at least."""
        result = PackedObjects([], self._effort)
        result._packed = [packed for packed in self._packed if rle_area(packed[1])]
        return result

    def _check(self) -> None:
        if self._effort:
            self._effort.check()

    def exclusive(self, keep: Keep) -> PackedObjects:
        """The objects without overlaps; see `exclusive`.

        Raises:
            PromptError: keep is not one of its words.
        """
        result = PackedObjects([], self._effort)
        result._packed = list(self._packed)
        for index, item in without_overlaps(self, keep):
            result._packed[index] = _packed(item)
        return result


def check_sizes(objects: Iterable[PhotoObject], size_hw: tuple[int, int]) -> None:
    """Checks that all objects are of one photo.

    Raises:
        PromptError: a mask is not of the size (H, W).
    """
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


def class_names(objects: Iterable[PhotoObject], known: Sequence[str] = ()) -> list[str]:
    """The known names, then the new ones of the objects, each once, in order of appearance.

    A folder of photos goes through it photo by photo: a name never changes its place.
    """
    return list(dict.fromkeys([*known, *(item.name for item in objects)]))


def exclusive(objects: Sequence[PhotoObject], keep: Keep = "later") -> list[PhotoObject]:
    """The objects with masks that do not overlap; every pixel of one of them stays in one.

    Args:
        objects: of one photo.
        keep: who gets a pixel that several claim: `"later"` the last in order; `"predicted_iou"`
            the one with the highest predicted IoU, None below all numbers, the later of equals.

    Returns:
        As many objects in the same order; a mask may have become empty.

    Raises:
        PromptError: the masks differ in size, or keep is neither word.
    """
    result = list(objects)
    for index, item in without_overlaps(objects, keep):
        result[index] = item
    return result


def without_overlaps(
    objects: Sequence[PhotoObject], keep: Keep
) -> Iterator[tuple[int, PhotoObject]]:
    """What `exclusive` gives, each object with its place and one after the other.

    So only two masks need to be in memory, where `objects` makes them as they are looked at.
    """
    if keep not in ("later", "predicted_iou"):
        raise PromptError('keep is "later" or "predicted_iou".')
    if not objects:
        return
    size_hw = objects[0].size_hw
    check_sizes(objects, size_hw)
    order = list(range(len(objects)))
    if keep == "predicted_iou":
        ranks = [_rank(item) for item in objects]
        order.sort(key=ranks.__getitem__)
    taken = np.zeros(size_hw, bool)
    for index in reversed(order):
        item = objects[index]
        yield index, replace(item, mask=item.mask & ~taken)
        taken |= item.mask


def _rank(item: PhotoObject) -> float:
    return -math.inf if item.predicted_iou is None else item.predicted_iou


def _finite(value: object) -> float:
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            number = float(cast(float, value))
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise PromptError("A predicted IoU is a finite number.")


def _packed(item: PhotoObject) -> tuple[str, CocoRle, float | None]:
    return item.name, mask_to_coco_rle(item.mask), item.predicted_iou


def _unpacked(name: str, rle: CocoRle, predicted_iou: float | None) -> PhotoObject:
    height, width = rle["size"]
    return PhotoObject(name, mask_from_coco_rle(rle, (height, width)), predicted_iou)
