"""Prompts that a user could give for a mask: for training at random, for evaluation exactly.

Masks are (H, W) bool. Points are XY and boxes XYXY, float32, in pixel indices of the mask: the
centre of the top left pixel is (0, 0), and a box goes through the centres of its outermost pixels.
`rescaled` converts them to another resolution, such as the model's.
"""

from collections.abc import Iterable
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mobilesam.masks import Mask, mask_bounds_xyxy

Coordinates: TypeAlias = NDArray[np.float32]

JITTER = 0.1  # standard deviation of a corner, of the box's side (arXiv 2304.02643, appendix A)
MAX_JITTER = 20 / 1024  # of the frame's longer side


def rescaled(coordinates: Coordinates, scale: float | NDArray[np.float64]) -> Coordinates:
    """The same places in a frame with `scale` times the pixels.

    Args:
        coordinates: (..., 2) XY or (..., 4) XYXY.
        scale: one number, or (2,) for X and Y.
    """
    scale_xy = np.tile(np.broadcast_to(scale, 2), coordinates.shape[-1] // 2)
    return np.asarray((coordinates + 0.5) * scale_xy - 0.5, np.float32)


def random_point(mask: Mask, random: np.random.Generator) -> Coordinates:
    """(2,) XY of a pixel of a mask that is not empty, uniformly distributed."""
    y, x = divmod(int(random.choice(np.flatnonzero(mask))), mask.shape[1])
    return np.array([x, y], np.float32)


def farthest_point(mask: Mask) -> Coordinates:
    """(2,) XY of the pixel farthest from the border of a mask that is not empty."""
    return _peak(_depth(mask))


def mask_box(mask: Mask) -> Coordinates:
    """(4,) XYXY of the tightest box around a mask that is not empty."""
    x0, y0, x1, y1 = mask_bounds_xyxy(mask)
    return np.array([x0, y0, x1 - 1, y1 - 1], np.float32)


def jittered_box(mask: Mask, random: np.random.Generator) -> Coordinates:
    """(4,) XYXY as somebody draws it: SAM's noise on each corner, within the frame."""
    box = mask_box(mask)
    height, width = mask.shape
    sides = np.tile(box[2:] - box[:2] + 1, 2)
    noise = random.normal(0, JITTER * sides)
    limit = MAX_JITTER * max(height, width)
    corners = (box + np.clip(noise, -limit, limit)).reshape(2, 2)
    corners = np.clip(np.sort(corners, axis=0), 0, (width - 1, height - 1))
    return corners.reshape(4).astype(np.float32)


def random_correction(
    target: Mask, predicted: Mask, random: np.random.Generator
) -> tuple[Coordinates, int]:
    """A random pixel where the prediction is wrong, and its label; SAM trains with such points.

    Without an error, it is a random pixel of the target, which is not empty.
    """
    wrong = target ^ predicted
    point = random_point(wrong if wrong.any() else target, random)
    x, y = point.astype(int)
    return point, int(target[y, x])


def central_correction(
    target: Mask, predicted: Mask, clicked: Iterable[Coordinates] = ()
) -> tuple[Coordinates, int]:
    """The wrong pixel that is farthest from the border of its error region, and its label.

    This is the usual click of benchmarks that count clicks (arXiv 2102.06583): on the largest part
    that is missing (1), or that does not belong to the object (0). Points that were clicked already
    are left out. Without an error, it is the target's `farthest_point`.
    """
    missing, extra = _depth(target & ~predicted), _depth(predicted & ~target)
    for x, y in (point.astype(int) for point in clicked):
        missing[y, x] = extra[y, x] = 0
    if not missing.any() and not extra.any():
        return farthest_point(target), 1
    label = int(missing.max() >= extra.max())
    return _peak(missing if label else extra), label


def _depth(mask: Mask) -> NDArray[np.float32]:
    """(H, W): distance to the nearest pixel outside of the mask; outside of the frame counts."""
    padded = np.pad(mask, 1).astype(np.uint8)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(depth[1:-1, 1:-1], np.float32)


def _peak(depth: NDArray[np.float32]) -> Coordinates:
    """(2,) XY of the first maximum, in the order of rows."""
    y, x = divmod(int(depth.argmax()), depth.shape[1])
    return np.array([x, y], np.float32)
