"""Automatic mask generation: the masks of a grid of points, filtered and deduplicated."""

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from segment_anything.utils.amg import build_point_grid, remove_small_regions
from torchvision.ops import box_convert, nms

from mobilesam.device_masks import StableMask, stable_masks
from mobilesam.embedding import ImageEmbedding
from mobilesam.errors import PromptError
from mobilesam.everything_options import EverythingOptions
from mobilesam.masks import CocoRle, Mask, mask_from_coco_rle, mask_to_json, rle_from_toggles
from mobilesam.model.backend import ModelBackend
from mobilesam.predict import decode_batch, upscale_logits
from mobilesam.prompts import Prompt
from mobilesam.settings import MEGA

_BATCH_PIXELS = 64 * MEGA
"""Limit on the prompts in a batch times the photo's pixels; large masks take most of the time."""
_MAX_BYTES = 256 * MEGA
"""Size of all masks as RLE; enough for thousands of masks of large photos."""
_MAX_COMPARED = 100_000
"""Pairs of masks whose IoU is computed, at up to 0.1 ms each; 32 x 32 points need hundreds."""
_TOO_MANY = "Too many masks pass the thresholds. Raise the thresholds or use fewer points."


@dataclass(frozen=True, eq=False)
class MaskRecord:
    """One mask, stored as RLE: a few kilobytes, while the array can have megabytes.

    Attributes:
        rle: COCO's RLE of the mask at the photo's own size.
        predicted_iou: the decoder's own estimate.
        stability_score: IoU of the masks at a slightly higher and a slightly lower threshold.
        bbox: (x, y, width, height) in pixels of the upright photo; as in segment-anything, the
            last column and row are not counted.
        area: in pixels.
    """

    rle: CocoRle
    predicted_iou: float
    stability_score: float
    bbox: tuple[int, int, int, int]
    area: int

    @property
    def mask(self) -> Mask:
        """(H, W) bool at the photo's own size, decoded on every access."""
        height, width = self.rle["size"]
        return mask_from_coco_rle(self.rle, (height, width))


@dataclass(frozen=True, eq=False)
class EverythingProgress:
    """The state of a mask generation after a batch.

    Attributes:
        done: number of prompts decoded.
        total: number of prompts in the grid.
        held_bytes: size of the masks found so far, including those that `records` leaves out.
    """

    done: int
    total: int
    held_bytes: int
    _select: Callable[[], list[MaskRecord]] = field(repr=False)

    @cached_property
    def records(self) -> list[MaskRecord]:
        """The masks found so far, the highest predicted IoU first; computed on first access.

        All masks found so far are compared, so the result does not depend on the batches. After a
        later batch, a better mask of the same region may take the place of one of them.

        Raises:
            PromptError: there are too many masks to find the duplicates among.
        """
        return self._select()


def iter_everything(
    backend: ModelBackend, embedding: ImageEmbedding, options: EverythingOptions
) -> Generator[EverythingProgress, None, None]:
    """Masks of a grid of points, as SamAutomaticMaskGenerator makes them without crops.

    If a crop was encoded, the grid is that of the crop.
    Unlike segment-anything, it always drops empty masks. No lock is held between two batches.

    Yields:
        The progress after each batch of prompts; the records of the last one are the result.

    Raises:
        PromptError: the masks that pass the thresholds take too much memory.
    """
    height, width = embedding.original_size
    x0, y0, x1, y1 = embedding.frame.encoded_xyxy
    grid = build_point_grid(options.points_per_side)
    grid_xy = (grid * (x1 - x0, y1 - y0) + (x0, y0)).tolist()
    selection = _Selection(options, options.min_area_share * height * width)
    found: list[MaskRecord] = []
    held_bytes = 0
    batch = min(backend.prompts_at_once, max(1, _BATCH_PIXELS // (height * width)))
    for start in range(0, len(grid_xy), batch):
        points = grid_xy[start : start + batch]
        for record in _decode_points(backend, embedding, points, options):
            found.append(record)
            held_bytes += len(record.rle["counts"])
            if held_bytes > _MAX_BYTES:
                raise PromptError(_TOO_MANY)
        select = partial(selection.records, tuple(found))
        yield EverythingProgress(start + len(points), len(grid_xy), held_bytes, select)


def _decode_points(
    backend: ModelBackend,
    embedding: ImageEmbedding,
    points_xy: Sequence[tuple[float, float]],
    options: EverythingOptions,
) -> Generator[MaskRecord, None, None]:
    """The masks of a batch that pass the thresholds of predicted IoU and stability."""
    prompts = [Prompt([point], [1]) for point in points_xy]
    find = _found_on_device if backend.upscales_masks else _found
    return find(backend, embedding, prompts, options)


def _found(
    backend: ModelBackend,
    embedding: ImageEmbedding,
    prompts: Sequence[Prompt],
    options: EverythingOptions,
) -> Generator[MaskRecord, None, None]:
    """Upscales one mask after the other by OpenCV, in the thread of the caller."""
    decode = partial(_decode_passing, backend, embedding, prompts, options)
    kept_logits, ious = backend.threads.prompts(decode)
    for logits, predicted_iou in zip(kept_logits.cpu().numpy(), ious, strict=True):
        full = upscale_logits(logits, embedding.input_size, embedding.frame.encoded_size)
        stability = _stability_score(full, backend.mask_threshold, options.stability_score_offset)
        # Single precision, as in segment-anything. NaN, from an empty mask, never passes.
        if not stability >= np.float32(options.stability_score_thresh):
            continue
        mask = full > backend.mask_threshold
        if mask.any():
            placed = embedding.frame.placed(mask, embedding.original_size)
            yield _record(placed, predicted_iou, stability)


def _found_on_device(
    backend: ModelBackend,
    embedding: ImageEmbedding,
    prompts: Sequence[Prompt],
    options: EverythingOptions,
) -> Generator[MaskRecord, None, None]:
    """Upscales all masks at once on the device of the model."""

    def decode() -> tuple[list[StableMask], list[float]]:
        logits, ious = _decode_passing(backend, embedding, prompts, options)
        offset, least = options.stability_score_offset, options.stability_score_thresh
        return stable_masks(logits, embedding.frame, backend.mask_threshold, offset, least), ious

    masks, ious = backend.threads.prompts(decode)
    for index, stability, toggles in masks:
        yield _record(rle_from_toggles(toggles, embedding.original_size), ious[index], stability)


def _decode_passing(
    backend: ModelBackend,
    embedding: ImageEmbedding,
    prompts: Sequence[Prompt],
    options: EverythingOptions,
) -> tuple[torch.Tensor, list[float]]:
    """The (K, 256, 256) logits and predicted IoUs of the masks whose predicted IoU passes."""
    low_res_logits, iou_predictions = decode_batch(backend, embedding, prompts)
    ious = iou_predictions.flatten()
    passing = ious > (options.pred_iou_thresh or -math.inf)
    return low_res_logits.flatten(0, 1)[passing], ious[passing].tolist()


def _stability_score(logits: NDArray[np.float32], mask_threshold: float, offset: float) -> float:
    """segment-anything's calculate_stability_score; NaN if both masks are empty."""
    inner = np.count_nonzero(logits > mask_threshold + offset)
    outer = np.count_nonzero(logits > mask_threshold - offset)
    return float(np.float32(inner) / np.float32(outer)) if outer else math.nan


def _record(mask: Mask | CocoRle, predicted_iou: float, stability: float) -> MaskRecord:
    fields = mask_to_json(mask)
    x, y, width, height = fields["bbox"]
    bbox = (x, y, width - 1, height - 1)
    return MaskRecord(fields["rle"], predicted_iou, stability, bbox, fields["area"])


class _Selection:
    """Drops small masks and duplicates. What it computes, it keeps for the next batch."""

    def __init__(self, options: EverythingOptions, min_area: float) -> None:
        """Drops masks of fewer than `min_area` pixels; for the rest see `options`."""
        self._options = options
        self._min_area = min_area
        self._cleaned = cache(
            partial(_without_small_regions, min_area=options.min_mask_region_area)
        )
        self._known_iou = cache(_mask_iou)

    def records(self, found: Sequence[MaskRecord]) -> list[MaskRecord]:
        """The records to keep of those found so far, the highest predicted IoU first."""
        box_thresh = self._options.box_nms_thresh
        # First, so that a small mask, such as an outline, does not take the place of a large one.
        large = [record for record in found if record.area >= self._min_area]
        kept = _distinct_boxes(large, [record.predicted_iou for record in large], box_thresh)
        if self._options.min_mask_region_area > 0:
            clean = [self._cleaned(record) for record in kept]
            unchanged = [float(one is other) for one, other in zip(kept, clean, strict=True)]
            # At least 0.7, which is segment-anything's crop_nms_thresh.
            kept = _distinct_boxes(clean, unchanged, max(box_thresh, 0.7))
            kept = [record for record in kept if record.area >= self._min_area]
        kept.sort(key=lambda record: record.predicted_iou, reverse=True)
        mask_thresh = self._options.mask_nms_thresh
        return kept if mask_thresh == 1 else _distinct_masks(kept, self._iou, mask_thresh)

    def _iou(self, one: MaskRecord, other: MaskRecord) -> float:
        if self._known_iou.cache_info().currsize >= _MAX_COMPARED:
            raise PromptError(_TOO_MANY)
        return self._known_iou(one, other)


def _distinct_boxes(
    records: Sequence[MaskRecord], scores: Sequence[float], box_nms_thresh: float
) -> list[MaskRecord]:
    """Non-maximum suppression: of records whose boxes overlap too much, the highest score stays."""
    boxes_xywh = torch.tensor([record.bbox for record in records], dtype=torch.float32)
    boxes_xyxy = box_convert(boxes_xywh.reshape(-1, 4), "xywh", "xyxy")
    kept = nms(boxes_xyxy, torch.tensor(scores), box_nms_thresh)
    return [records[index] for index in kept.tolist()]


def _distinct_masks(
    records: Sequence[MaskRecord],
    mask_iou: Callable[[MaskRecord, MaskRecord], float],
    mask_nms_thresh: float,
) -> list[MaskRecord]:
    """Non-maximum suppression by masks: drops records whose mask is nearly that of an earlier one.

    Areas and boxes give an upper bound of the IoU, so `mask_iou` is called for few pairs only.
    """
    areas = np.array([record.area for record in records], np.int64)
    xywh = np.array([record.bbox for record in records], np.int64).reshape(-1, 4)
    starts, ends = xywh[:, :2], xywh[:, :2] + xywh[:, 2:] + 1
    kept = np.zeros(len(records), bool)
    for index, record in enumerate(records):
        others = np.flatnonzero(kept)
        sides = np.minimum(ends[index], ends[others]) - np.maximum(starts[index], starts[others])
        in_both_boxes = sides.clip(0).prod(axis=1)
        shared = np.minimum(in_both_boxes, np.minimum(areas[index], areas[others]))  # at most
        similar = shared > mask_nms_thresh * (areas[index] + areas[others] - shared)
        kept[index] = all(
            mask_iou(records[other], record) <= mask_nms_thresh for other in others[similar]
        )
    return [record for record, is_kept in zip(records, kept, strict=True) if is_kept]


def _mask_iou(one: MaskRecord, other: MaskRecord) -> float:
    return float(coco_mask.iou([one.rle], [other.rle], [False])[0, 0])


def _without_small_regions(record: MaskRecord, min_area: int) -> MaskRecord:
    """The record without islands and holes of fewer pixels; itself if there are none."""
    mask, filled = remove_small_regions(record.mask, min_area, mode="holes")
    mask, cleared = remove_small_regions(mask, min_area, mode="islands")
    if not (filled or cleared):
        return record
    return _record(mask, record.predicted_iou, record.stability_score)
