"""Strokes of a brush on masks and on logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mobilesam.masks import Mask
from mobilesam.prompts import PointXY

CERTAIN_LOGIT = 6.9
"""The logit of 0.999: what a mask given from outside is worth as mask_input. So does micro-sam."""

_LOGITS_PER_INPUT = 4  # the decoder's 256 x 256 logits stand for the encoder's 1024 x 1024 pixels
_SUBPIXEL_BITS = 4
_LINE_PX = 150.0  # to go over a line costs as much as so many pixels beside it
_WIDEST_PX = 32_767


@dataclass(frozen=True)
class Stroke:
    """A stroke of a round brush.

    Attributes:
        path: XY in pixels of the upright photo; a single point is a dab.
        radius: of the brush, in the same pixels.
        label: 1 adds to the mask, 0 takes away from it.
    """

    path: tuple[PointXY, ...]
    radius: float
    label: int

    def swept_px(self, size_hw: tuple[int, int], original_size: tuple[int, int]) -> float:
        """What it costs to draw it: about the pixels that it goes over, counted again and again.

        Args:
            size_hw: (H, W) of what it is drawn on.
            original_size: (H, W) of the photo.
        """
        scale = max(size_hw) / max(original_size)
        xy = np.array(self.path) * scale
        length = float(np.hypot(*np.diff(xy, axis=0).T).sum())
        width = min(2 * self.radius * scale, _widest(size_hw))
        return length * (width + _LINE_PX) + len(xy) * width**2


def logits_size(input_size: tuple[int, int]) -> tuple[int, int]:
    """(H, W) of the photo within the logits.

    Args:
        input_size: (H, W) of the photo within the model's square of 1024.
    """
    height, width = (max(1, round(side / _LOGITS_PER_INPUT)) for side in input_size)
    return height, width


def painted(mask: Mask, strokes: Sequence[Stroke], original_size: tuple[int, int]) -> Mask:
    """The mask after the strokes, in their order.

    Args:
        mask: (H, W) bool of the whole photo at any size.
        strokes: in pixels of the photo.
        original_size: (H, W) of the photo.

    Returns:
        (H, W) bool; the mask itself where there is no stroke.
    """
    if not strokes:
        return mask
    canvas = mask.astype(np.uint8)
    scale_xy = np.array(mask.shape[::-1]) / np.array(original_size[::-1])
    for stroke in strokes:
        _draw(canvas, stroke, scale_xy, stroke.label)
    return canvas.astype(np.bool_)


def painted_logits(
    logits: NDArray[np.float32],
    strokes: Sequence[Stroke],
    original_size: tuple[int, int],
    input_size: tuple[int, int],
) -> NDArray[np.float32]:
    """Logits that say what the strokes say, where they went.

    Args:
        logits: (1, 256, 256) in the model's square.
        strokes: in pixels of the photo.
        original_size: (H, W) of the photo.
        input_size: (H, W) of the photo within the model's square of 1024.

    Returns:
        (1, 256, 256) float32; the logits themselves where there is no stroke.
    """
    if not strokes:
        return logits
    canvas = logits[0].copy()
    scale_xy = np.array(input_size[::-1]) / np.array(original_size[::-1]) / _LOGITS_PER_INPUT
    for stroke in strokes:
        _draw(canvas, stroke, scale_xy, CERTAIN_LOGIT if stroke.label else -CERTAIN_LOGIT)
    return np.asarray(canvas[None], dtype=np.float32)


def mask_logits(mask: Mask, input_size: tuple[int, int]) -> NDArray[np.float32]:
    """A mask as mask_input.

    Args:
        mask: (H, W) bool of the photo.
        input_size: (H, W) of the photo within the model's square of 1024.

    Returns:
        (1, 256, 256) float32, outside the photo as outside the mask.
    """
    height, width = logits_size(input_size)
    share = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    side = max(height, width)
    logits = np.full((1, side, side), -CERTAIN_LOGIT, np.float32)
    logits[0, :height, :width] = (2 * share - 1) * CERTAIN_LOGIT
    return logits


def _draw(
    canvas: NDArray[np.uint8] | NDArray[np.float32],
    stroke: Stroke,
    scale_xy: NDArray[np.float64],
    value: float,
) -> None:
    # OpenCV counts from the centre of the first pixel, a photo from its edge.
    # It draws nothing for a single point, and a round dot for one that is there twice.
    path = (np.array([stroke.path[0], *stroke.path]) * scale_xy - 0.5) * (1 << _SUBPIXEL_BITS)
    height, width = canvas.shape
    thickness = min(max(1, round(2 * stroke.radius * float(scale_xy[0]))), _widest((height, width)))
    cv2.polylines(
        canvas, [np.rint(path).astype(np.int32)], False, value, thickness, shift=_SUBPIXEL_BITS
    )


def _widest(size_hw: tuple[int, int]) -> int:
    """Twice the diagonal covers all from anywhere; OpenCV takes no brush above its limit."""
    return min(2 * math.ceil(math.hypot(*size_hw)), _WIDEST_PX)
