"""Draws brush strokes on masks and on low-resolution logits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import FailFast, Field

from mobilesam.frame import Frame
from mobilesam.masks import Mask
from mobilesam.prompts import PointXY
from mobilesam.schemas import Label, Number

MAX_RADIUS_PX = 4096.0
CERTAIN_LOGIT = 6.9  # of probability 0.999, which a given mask gets in mask_input, as in micro-sam
_INPUT_PX_PER_LOGIT = 4  # the encoder's 1024 x 1024 pixels per the decoder's 256 x 256 logits
_SUBPIXEL_BITS = 4
_LINE_PX = 150.0  # fixed cost of each pixel along a path, in swept pixels
_MAX_THICKNESS_PX = 32_767  # OpenCV's limit


@dataclass(frozen=True)
class Stroke:
    """A stroke of a round brush on the current mask; it stays on top of later predictions.

    Attributes:
        path: XY in pixels of the upright photo; a single point draws a dot.
        radius: of the brush, in the same pixels.
        label: 1 adds to the mask, 0 removes from it.
    """

    path: Annotated[tuple[PointXY, ...], Field(min_length=1), FailFast()]
    radius: Annotated[Number, Field(gt=0, le=MAX_RADIUS_PX)]
    label: Label
    type: Literal["stroke"] = "stroke"

    def swept_px(self, size_hw: tuple[int, int], original_size: tuple[int, int]) -> float:
        """Estimates the cost of drawing: the pixels swept, counted each time they are swept.

        `size_hw` is the size of the array to draw on, `original_size` that of the photo.
        """
        scale = max(size_hw) / max(original_size)
        xy = np.array(self.path) * scale
        length = float(np.hypot(*np.diff(xy, axis=0).T).sum())
        width = min(2 * self.radius * scale, _max_thickness(size_hw))
        return length * (width + _LINE_PX) + len(xy) * width**2


def logits_size(input_size: tuple[int, int]) -> tuple[int, int]:
    """(H, W) of the photo within the 256 x 256 logits; `input_size`: in the 1024 x 1024 input."""
    height, width = (max(1, round(side / _INPUT_PX_PER_LOGIT)) for side in input_size)
    return height, width


def painted(mask: Mask, strokes: Sequence[Stroke], original_size: tuple[int, int]) -> Mask:
    """Draws strokes, in order, on an (H, W) bool mask of the whole photo at any size.

    Returns the mask itself if there are no strokes. `original_size` is the (H, W) of the photo.
    """
    if not strokes:
        return mask
    canvas = mask.astype(np.uint8)
    _draw(canvas, strokes, np.array(mask.shape[::-1]) / np.array(original_size[::-1]), (0, 1))
    return canvas.astype(np.bool_)


def painted_logits(
    logits: NDArray[np.float32], strokes: Sequence[Stroke], frame: Frame
) -> NDArray[np.float32]:
    """Draws strokes, in order, on (1, 256, 256) logits as +CERTAIN_LOGIT or -CERTAIN_LOGIT."""
    if not strokes:
        return logits
    canvas = logits[0].copy()
    scale_xy = frame.scale_xy / _INPUT_PX_PER_LOGIT
    values = (-CERTAIN_LOGIT, CERTAIN_LOGIT)
    _draw(canvas, strokes, scale_xy, values, frame.encoded_xyxy[:2])
    return np.asarray(canvas[None], dtype=np.float32)


def mask_logits(mask: Mask, frame: Frame) -> NDArray[np.float32]:
    """Converts an (H, W) bool mask of the whole photo to logits for mask_input.

    Returns (1, 256, 256) float32; the padding counts as background.
    """
    height, width = logits_size(frame.input_size)
    mask = mask[frame.encoded_part(frame.original_size)]
    coverage = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    side = max(height, width)
    logits = np.full((1, side, side), -CERTAIN_LOGIT, np.float32)
    logits[0, :height, :width] = (2 * coverage - 1) * CERTAIN_LOGIT
    return logits


def _draw(
    canvas: NDArray[np.uint8] | NDArray[np.float32],
    strokes: Sequence[Stroke],
    scale_xy: NDArray[np.float64],
    values: tuple[float, float],
    origin_xy: tuple[int, int] = (0, 0),
) -> None:
    """Draws strokes with the value of their label, 0 or 1; `origin_xy` is the canvas's corner."""
    most = _max_thickness((canvas.shape[0], canvas.shape[1]))
    for stroke in strokes:
        # OpenCV's origin is the centre of the first pixel; the photo's is its corner.
        # OpenCV draws nothing for a single point, so the first point is there twice.
        path = (np.array([stroke.path[0], *stroke.path]) - origin_xy) * scale_xy - 0.5
        vertices = [np.rint(path * (1 << _SUBPIXEL_BITS)).astype(np.int32)]
        width = min(max(1, round(2 * stroke.radius * float(scale_xy[0]))), most)
        cv2.polylines(canvas, vertices, False, values[stroke.label], width, shift=_SUBPIXEL_BITS)


def _max_thickness(size_hw: tuple[int, int]) -> int:
    """Twice the diagonal, which covers everything from any point, within OpenCV's limit."""
    return min(2 * math.ceil(math.hypot(*size_hw)), _MAX_THICKNESS_PX)
