"""Functions on binary masks: (H, W) bool arrays in pixels of the upright photo."""

from collections.abc import Sequence
from typing import Any, TypedDict

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from mobilesam.errors import AnnotationError

Mask = NDArray[np.bool_]

MAX_RLE_LENGTH = 4_000_000  # characters or list items of an RLE: decoding takes 70 bytes for each

_TOO_LONG = "A run-length mask is too long. Simplify it."
_RUN_CHARACTERS = 7  # at most; 35 bits: enough for any mask, and sums do not overflow 64 bits


class CocoRle(TypedDict):
    """COCO's compressed run-length encoding: `size` is [H, W], `counts` its ASCII string."""

    size: list[int]
    counts: str


def mask_bounds_xyxy(mask: Mask) -> tuple[int, int, int, int]:
    """The tightest (x0, y0, x1, y1) such that mask[y0:y1, x0:x1] contains the mask, or zeros."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return x, y, x + width, y + height


def scaled_mask(mask: Mask, size_hw: tuple[int, int]) -> Mask:
    """Resamples a mask to (H, W): a pixel is set where the mask covers at least half of its area.

    Returns the mask itself if it already has that size.
    """
    height, width = size_hw
    if mask.shape == (height, width):
        return mask
    # uint8, because a mask of 40 megapixels would take 160 MB as float32.
    levels = mask.astype(np.uint8) * np.uint8(255)
    return np.asarray(cv2.resize(levels, (width, height), interpolation=cv2.INTER_AREA) >= 128)


def mask_to_coco_rle(mask: Mask) -> CocoRle:
    """Encodes a mask as COCO's compressed RLE, which pycocotools.mask.decode reads."""
    # COCO's order is column-major. OpenCV transposes in blocks, ten times faster than a copy.
    rle = coco_mask.encode(cv2.transpose(mask.view(np.uint8)).T)
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode("ascii")}


def mask_to_json(mask: Mask | CocoRle, **extra: Any) -> dict[str, Any]:
    """Describes an (H, W) bool mask or its RLE as JSON, for API replies and annotation files.

    The fields are `rle`, `bbox` (COCO's [x, y, width, height] in pixels; the last column and row
    are counted, all zero for an empty mask), `area` (number of pixels), and `extra`.
    """
    rle = mask_to_coco_rle(mask) if isinstance(mask, np.ndarray) else mask
    bbox = [int(number) for number in coco_mask.toBbox(rle)]
    return {"rle": rle, "bbox": bbox, "area": rle_area(rle), **extra}


def checked_rle(rle: object, size_hw: tuple[int, int]) -> CocoRle:
    """Like `mask_from_coco_rle`, but returns the mask as the RLE that `mask_to_coco_rle` makes.

    It takes time for each run, not for each pixel.
    """
    return rle_from_toggles(_runs(rle, size_hw).cumsum(), size_hw)


def rle_from_toggles(toggles: NDArray[np.int64], size_hw: tuple[int, int]) -> CocoRle:
    """Encodes a mask of (H, W) by the positions at which it begins and ends.

    The positions are column-major and ascending, up to H * W; the first pixel has position 0. Two
    at the same position cancel each other: they would be a run of length 0, which some readers of
    `counts` do not expect.
    """
    height, width = size_hw
    firsts = np.flatnonzero(np.diff(toggles, prepend=-1))
    is_odd = np.diff(firsts, append=len(toggles)) % 2 == 1
    distinct = toggles[firsts[is_odd]]
    inside = distinct[distinct < height * width]
    runs = np.diff(inside, prepend=0, append=height * width)
    rle = coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}


def rle_from_positions(positions: NDArray[np.int64], size_hw: tuple[int, int]) -> CocoRle:
    """Encodes a mask of (H, W) by its pixels.

    The positions are column-major and ascending, and may repeat; the first pixel has position 0.
    """
    height, width = size_hw
    is_start = np.diff(positions, prepend=-2) > 1
    is_end = np.diff(positions, append=height * width + 1) > 1
    toggles = np.stack([positions[is_start], positions[is_end] + 1], axis=1).ravel()
    return rle_from_toggles(toggles, size_hw)


def rle_from_crop(corner_xy: tuple[int, int], crop: Mask, size_hw: tuple[int, int]) -> CocoRle:
    """The reverse of `mask_crop`: encodes a mask of (H, W) that is False outside the crop.

    It takes time for the crop's pixels only.

    Raises:
        AnnotationError: it begins and ends more than MAX_RLE_LENGTH times, as a chequered mask may.
    """
    x, y = corner_xy
    pixels = np.ascontiguousarray(crop.T).view(np.uint8)
    changes = np.diff(pixels, axis=1, prepend=np.uint8(0), append=np.uint8(0))
    if np.count_nonzero(changes) > MAX_RLE_LENGTH:  # before 16 bytes are taken for each
        raise AnnotationError(_TOO_LONG)
    columns, rows = np.nonzero(changes)
    return rle_from_toggles((x + columns) * size_hw[0] + y + rows, size_hw)


def rle_union(rles: Sequence[CocoRle]) -> CocoRle:
    """The union of one or more trusted RLEs of the same size."""
    # In groups of eight: merging all at once takes quadratic time and holds the GIL.
    merged: list[Any] = list(rles)
    while len(merged) > 1:
        merged = [coco_mask.merge(merged[at : at + 8]) for at in range(0, len(merged), 8)]
    size, counts = merged[0]["size"], merged[0]["counts"]
    counts = counts if isinstance(counts, str) else counts.decode("ascii")
    return {"size": [int(side) for side in size], "counts": counts}


def mask_crop(rle: CocoRle) -> tuple[tuple[int, int], Mask]:
    """The mask of a trusted RLE within its bounding box, and the (x, y) of its upper left pixel.

    It takes time for the box's columns only. The crop of an empty mask has no pixels.
    """
    height = rle["size"][0]
    x, y, box_width, box_height = (int(number) for number in coco_mask.toBbox(rle))
    ends = _decompressed(rle["counts"], height * rle["size"][1]).cumsum()
    ends = np.clip(ends, x * height, (x + box_width) * height)
    runs = np.diff(ends, prepend=x * height)
    columns = np.repeat(np.arange(runs.size) % 2 == 1, runs).reshape(box_width, height)
    return (x, y), np.ascontiguousarray(columns[:, y : y + box_height].T)


def rle_area(rle: CocoRle) -> int:
    """Number of pixels in the mask of a trusted RLE."""
    return int(coco_mask.area(rle))


def mask_from_coco_rle(rle: object, size_hw: tuple[int, int]) -> Mask:
    """Decodes an untrusted COCO RLE, compressed (text) or uncompressed (a list of counts).

    pycocotools.mask.decode trusts the counts: wrong ones make it write out of bounds.

    Raises:
        AnnotationError: `rle` is not an RLE of this (H, W), or its counts do not fill it.
    """
    height, width = size_hw
    runs = _runs(rle, size_hw)
    inside = np.arange(runs.size) % 2 == 1
    columns = np.repeat(inside, runs).reshape(width, height)
    return np.asarray(cv2.transpose(columns.view(np.uint8)).view(np.bool_))


def _runs(rle: object, size_hw: tuple[int, int]) -> NDArray[np.int64]:
    """The run lengths of an untrusted RLE; they are not negative and fill (H, W) pixels."""
    height, width = size_hw
    size = height * width
    misfit = AnnotationError(f"A run-length mask's counts do not fill {height} x {width} pixels.")
    if not isinstance(rle, dict) or rle.get("size") != [height, width]:
        raise AnnotationError(f"A run-length mask must state that its size is [{height}, {width}].")
    counts = rle.get("counts")
    if isinstance(counts, (str, list)) and len(counts) > _RUN_CHARACTERS * (size + 1):
        raise misfit
    if isinstance(counts, (str, list)) and len(counts) > MAX_RLE_LENGTH:
        raise AnnotationError(_TOO_LONG)
    if isinstance(counts, str):
        runs = _decompressed(counts, size)
    elif isinstance(counts, list) and all(type(count) is int for count in counts):
        runs = np.array([min(max(count, -1), size + 1) for count in counts], np.int64)
    else:
        raise AnnotationError("A run-length mask's counts must be text or a list of integers.")
    if (runs < 0).any() or runs.sum() != size:
        raise misfit
    return runs


def _decompressed(text: str, most: int) -> NDArray[np.int64]:
    """Decodes the run lengths of COCO's compressed counts; impossible lengths become -1.

    As in rleFrString of pycocotools' maskApi.c: each character holds five bits, lowest first;
    bit 32 says that more characters follow, and bit 16 of the last one is the sign. From the
    fourth on, a number is the difference to the number two before it.
    """
    encoded = text.encode(errors="surrogatepass")
    codes = np.frombuffer(encoded, np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero((codes & 32) == 0)
    lengths = np.diff(ends, prepend=-1)
    is_complete = ends.size and ends[-1] == len(codes) - 1
    if not is_complete or codes.min() < 0 or codes.max() > 63 or lengths.max() > _RUN_CHARACTERS:
        raise AnnotationError("A run-length mask's counts are damaged.")
    starts = ends - lengths + 1
    position = np.arange(len(codes)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((codes & 31) << 5 * position, starts)
    numbers -= np.where(codes[ends] & 16, 1 << 5 * lengths, 0)
    numbers[1::2] = numbers[1::2].cumsum()
    numbers[2::2] = numbers[2::2].cumsum()
    return np.where((numbers < 0) | (numbers > most), -1, numbers)
