"""Clean-up of a predicted mask: specks are removed and small holes are filled."""

import cv2
import numpy as np
from numpy.typing import NDArray

from mobilesam.masks import Mask, mask_bounds_xyxy
from mobilesam.prompts import Prompt

MIN_PART = 0.02
"""Smaller parts are specks; a share of the area of the largest part with a positive point."""
MIN_HOLE = 0.01
"""Smaller holes are filled; a share of the same area."""

# A point counts for its pixel and the eight around it: scaling a mask moves edges by a pixel.
_NEIGHBOURHOOD = np.argwhere(np.ones((3, 3))) - 1


def clean_mask(mask: Mask, prompt: Prompt, original_size: tuple[int, int] | None = None) -> Mask:
    """Removes the specks of a predicted mask and fills its small holes, but not against a click.

    A part, connected by sides or corners, stays if it has a positive point, or at least MIN_PART of
    the area of the largest part that has one; without such a part, as for a box, of the largest
    part. Then background that the mask encloses is filled if it is smaller than MIN_HOLE of that
    area and has no negative point. Other pixels do not change. Both are shares of an area, so a
    mask is cleaned in the same way at every size.

    Args:
        mask: (H, W) bool, of the whole photo.
        prompt: what the mask was predicted for.
        original_size: (H, W) of the upright photo, if the mask is scaled.

    Returns:
        A new (H, W) bool mask, or the mask itself if it is empty.
    """
    x0, y0, x1, y1 = mask_bounds_xyxy(mask)
    if x0 == x1:
        return mask
    # With a margin, which joins all background that is not enclosed.
    inside = np.pad(mask[y0:y1, x0:x1], 1).view(np.uint8)
    scale_xy = np.divide(mask.shape[::-1], (original_size or mask.shape)[::-1])
    pixels_xy = np.floor(np.reshape(prompt.point_coords, (-1, 2)) * scale_xy) - (x0 - 1, y0 - 1)
    is_positive = np.array(prompt.point_labels, bool)

    parts, areas = _connected(inside, 8)
    clicked = _labels_at(parts, pixels_xy[is_positive])
    largest = areas[clicked if clicked.size else slice(1, None)].max()
    is_speck = areas < MIN_PART * largest
    is_speck[clicked] = False
    _set(inside, 0, is_speck, parts)

    holes, areas = _connected(1 - inside, 4)
    is_small = areas < MIN_HOLE * largest
    is_small[_labels_at(holes, pixels_xy[~is_positive])] = False
    is_small[holes[0, 0]] = False
    _set(inside, 1, is_small, holes)

    cleaned = np.zeros_like(mask)
    cleaned[y0:y1, x0:x1] = inside[1:-1, 1:-1]
    return cleaned


def _connected(
    binary: NDArray[np.uint8], connectivity: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Labels the connected regions of ones, (H, W) from 1; and their areas, with 0 for label 0."""
    # Twice as fast as cv2.connectedComponentsWithStats.
    labels = np.asarray(cv2.connectedComponents(binary, connectivity=connectivity)[1], np.int32)
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    return labels, areas


def _set(
    binary: NDArray[np.uint8], value: int, is_chosen: NDArray[np.bool_], labels: NDArray[np.int32]
) -> None:
    """Sets the regions with the chosen labels; label 0 is never one of them."""
    is_chosen[0] = False
    if is_chosen.any():
        np.copyto(binary, value, where=is_chosen[labels], casting="unsafe")


def _labels_at(labels: NDArray[np.int32], pixels_xy: NDArray[np.float64]) -> NDArray[np.int32]:
    """The labels except 0 at (N, 2) pixels and around them; what lies outside has the margin's."""
    around = (pixels_xy[:, None] + _NEIGHBOURHOOD).reshape(-1, 2).astype(int)
    x, y = np.clip(around, 0, np.array(labels.shape[::-1]) - 1).T
    return np.setdiff1d(labels[y, x], [0])
