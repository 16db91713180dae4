"""Pure functions on binary masks: (H, W) bool arrays in the frame of the photo."""

from __future__ import annotations

from typing import TypedDict

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from mobilesam.errors import AnnotationError

Mask = NDArray[np.bool_]

_RUN_CHARACTERS = 7  # at most, of a run: 35 bits, beyond any mask, and sums of them stay within 64


class CocoRle(TypedDict):
    """COCO's compressed run-length encoding: `size` is [H, W], `counts` its ASCII string."""

    size: list[int]
    counts: str


def mask_area(mask: Mask) -> int:
    """Pixels in the mask."""
    return int(np.count_nonzero(mask))


def mask_bounds_xyxy(mask: Mask) -> tuple[int, int, int, int]:
    """The smallest (x0, y0, x1, y1) whose mask[y0:y1, x0:x1] holds the mask; zeros if empty."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return 0, 0, 0, 0
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def mask_bbox_xywh(mask: Mask) -> tuple[int, int, int, int]:
    """COCO's bbox: (x, y, width, height) in whole pixels; zeros for an empty mask."""
    x0, y0, x1, y1 = mask_bounds_xyxy(mask)
    return x0, y0, x1 - x0, y1 - y0


def scaled_mask(mask: Mask, size_hw: tuple[int, int]) -> Mask:
    """The mask at another size: a pixel is in where at least half of what it covers is.

    Args:
        mask: (H, W) bool.
        size_hw: (H, W) to scale to.

    Returns:
        (H, W) bool; the mask itself where it has that size.
    """
    height, width = size_hw
    if mask.shape == (height, width):
        return mask
    # In bytes: a mask of 40 megapixels would take 160 MB in single precision.
    share = cv2.resize(
        mask.astype(np.uint8) * np.uint8(255), (width, height), None, 0, 0, cv2.INTER_AREA
    )
    return np.asarray(share >= 128)


def mask_to_coco_rle(mask: Mask) -> CocoRle:
    """COCO's compressed RLE, as pycocotools.mask.decode reads it."""
    # COCO runs down the columns. OpenCV transposes in blocks, ten times faster than a plain copy.
    rle = coco_mask.encode(cv2.transpose(mask.view(np.uint8)).T)
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode("ascii")}


def rle_area(rle: CocoRle) -> int:
    """Pixels in the mask of an RLE that is known to be sound."""
    return int(coco_mask.area(rle))


def mask_from_coco_rle(rle: object, size_hw: tuple[int, int]) -> Mask:
    """The mask of a COCO RLE from anywhere: compressed (text) or uncompressed (a list of counts).

    Not pycocotools.mask.decode: it trusts the counts, and wrong ones make it write out of bounds.

    Args:
        rle: parsed JSON.
        size_hw: (H, W) that the mask must have.

    Returns:
        (H, W) bool.

    Raises:
        AnnotationError: it is no RLE, is of another size, or its counts do not fill that size.
    """
    height, width = size_hw
    if not isinstance(rle, dict) or rle.get("size") != [height, width]:
        raise AnnotationError(f"A run-length mask must say that its size is [{height}, {width}].")
    counts = rle.get("counts")
    if isinstance(counts, (str, list)) and len(counts) > _RUN_CHARACTERS * (height * width + 1):
        raise AnnotationError(f"A run-length mask's counts do not fill {height} x {width} pixels.")
    if isinstance(counts, str):
        runs = _decompressed(counts, height * width)
    elif isinstance(counts, list) and all(type(count) is int for count in counts):
        runs = np.array([min(max(count, -1), height * width + 1) for count in counts], np.int64)
    else:
        raise AnnotationError("A run-length mask's counts are text or a list of whole numbers.")
    if (runs < 0).any() or runs.sum() != height * width:
        raise AnnotationError(f"A run-length mask's counts do not fill {height} x {width} pixels.")
    inside = np.arange(runs.size) % 2 == 1
    # COCO counts down the columns.
    columns = np.repeat(inside, runs).reshape(width, height)
    return np.asarray(cv2.transpose(columns.view(np.uint8)).view(np.bool_))


def _decompressed(text: str, most: int) -> NDArray[np.int64]:
    """Run lengths of COCO's compressed counts; any that is no length at all comes out as -1.

    A number is written five bits a character, the lowest first; bit 32 says that more follow, and
    bit 16 of the last is the sign. From the fourth on it is the difference to the last but one.
    """
    try:
        codes = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError:
        raise AnnotationError("A run-length mask's counts hold foreign characters.") from None
    ends = np.flatnonzero((codes & 32) == 0)
    lengths = np.diff(ends, prepend=-1)
    if (
        ((codes < 0) | (codes > 63)).any()
        or not ends.size
        or ends[-1] != len(codes) - 1
        or lengths.max() > _RUN_CHARACTERS
    ):
        raise AnnotationError("A run-length mask's counts are damaged.")
    place = np.arange(len(codes)) - np.repeat(ends - lengths + 1, lengths)
    numbers = np.add.reduceat((codes & 31) << 5 * place, ends - lengths + 1)
    numbers -= np.where(codes[ends] & 16, 1 << 5 * lengths, 0)
    numbers[1::2] = numbers[1::2].cumsum()
    numbers[2::2] = numbers[2::2].cumsum()
    return np.where((numbers < 0) | (numbers > most), -1, numbers)
