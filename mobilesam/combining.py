"""New masks from those of objects: together, one without the others, or its separate parts."""

from collections.abc import Sequence
from typing import Literal, get_args

import cv2
import numpy as np

from mobilesam.errors import PromptError
from mobilesam.masks import Mask
from mobilesam.objects import PhotoObject, check_sizes, union_mask

MAX_PARTS = 100
Operation = Literal["merge", "subtract", "split"]


def combine_masks(objects: Sequence[PhotoObject], operation: Operation) -> list[Mask]:
    """The (H, W) bool masks that result from one or more objects of the same size.

    `"merge"` gives the union of all; `"subtract"` the first without the others; `"split"` the
    8-connected parts of the first, the largest one first, at most MAX_PARTS: the smallest ones stay
    with the last.

    Raises:
        PromptError: the operation is unknown, the sizes differ, or nothing would be left or split.
    """
    if operation not in get_args(Operation):
        raise PromptError('Objects are combined by "merge", "subtract" or "split".')
    if not objects:
        raise PromptError("Choose an object first.")
    check_sizes(objects, objects[0].size_hw)
    if operation == "merge":
        return [union_mask(objects)]
    if operation == "split":
        return _parts(objects[0].mask)
    rest = objects[0].mask & ~union_mask(objects[1:]) if objects[1:] else objects[0].mask
    if not rest.any():
        raise PromptError("Nothing of the object would be left. Delete it instead.")
    return [rest]


def _parts(mask: Mask) -> list[Mask]:
    labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)[1]
    areas = np.bincount(labels.ravel())
    largest_first = np.argsort(-areas[1:], kind="stable") + 1
    if len(largest_first) < 2:
        raise PromptError(
            "The object has only one part. Erase a gap with the brush, then split it."
        )
    parts: list[Mask] = [labels == label for label in largest_first[: MAX_PARTS - 1]]
    others = np.isin(labels, largest_first[MAX_PARTS - 1 :])
    return [*parts, others] if others.any() else parts
