"""Everything in the photo: a grid of points, filtered and deduplicated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from segment_anything.utils.amg import (
    batched_mask_to_box,
    box_xyxy_to_xywh,
    build_point_grid,
    calculate_stability_score,
)
from torchvision.ops import batched_nms

from mobilesam.embedding import ImageEmbedding
from mobilesam.errors import PromptError
from mobilesam.masks import Mask, mask_area
from mobilesam.model.network import Network
from mobilesam.predict import decode_batch, upscale_logits
from mobilesam.prompts import Prompt

MAX_POINTS_PER_SIDE = 64
_BATCH = 32


@dataclass(frozen=True, eq=False)
class MaskRecord:
    """One region.

    Attributes:
        mask: (H, W) bool at the photo's own size.
        predicted_iou: the decoder's own estimate.
        stability_score: IoU of the masks at a slightly higher and a slightly lower threshold.
        bbox: (x, y, width, height) in pixels of the upright photo, as segment-anything counts it.
        area: pixels.
    """

    mask: Mask
    predicted_iou: float
    stability_score: float
    bbox: tuple[int, int, int, int]
    area: int


@dataclass(frozen=True)
class EverythingOptions:
    """Settings, with the defaults of segment-anything's SamAutomaticMaskGenerator but the grid.

    Attributes:
        points_per_side: the grid has this number squared.
        pred_iou_thresh: drop masks whose predicted IoU is not above it.
        stability_score_thresh: drop masks that change too much with the threshold.
        stability_score_offset: by how much of a logit the threshold is moved.
        box_nms_thresh: box IoU above which the mask with the lower predicted IoU is dropped.
    """

    points_per_side: int = 16
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7

    def __post_init__(self) -> None:
        """Checks the grid.

        Raises:
            PromptError: points_per_side is not a whole number between 1 and 64.
        """
        points = self.points_per_side
        if not isinstance(points, int) or not 1 <= points <= MAX_POINTS_PER_SIDE:
            raise PromptError(
                f"points_per_side must be a whole number from 1 to {MAX_POINTS_PER_SIDE}."
            )


def segment_everything(
    network: Network, embedding: ImageEmbedding, options: EverythingOptions
) -> list[MaskRecord]:
    """Masks of a grid of points, as SamAutomaticMaskGenerator makes them without crops.

    Args:
        network: the modules that decode.
        embedding: of the photo.
        options: grid and thresholds.

    Returns:
        The records, the highest predicted IoU first.
    """
    height, width = embedding.original_size
    grid_xy = build_point_grid(options.points_per_side) * (width, height)
    found: list[MaskRecord] = []
    boxes: list[torch.Tensor] = []
    for start in range(0, len(grid_xy), _BATCH):
        prompts = [Prompt([(x, y)], [1]) for x, y in grid_xy[start : start + _BATCH].tolist()]
        low_res_logits, iou_predictions = decode_batch(network, embedding, prompts)
        flat_logits = low_res_logits.flatten(0, 1).cpu().numpy()
        flat_ious = iou_predictions.flatten().tolist()
        for logits, predicted_iou in zip(flat_logits, flat_ious, strict=True):
            if not predicted_iou > options.pred_iou_thresh:
                continue
            upscaled = upscale_logits(logits, embedding.input_size, embedding.original_size)
            full = torch.from_numpy(np.ascontiguousarray(upscaled))[None]
            stability = calculate_stability_score(
                full, network.mask_threshold, options.stability_score_offset
            ).item()
            if not stability >= options.stability_score_thresh:
                continue
            mask = full > network.mask_threshold
            box = batched_mask_to_box(mask)
            boxes.append(box)
            x, y, w, h = box_xyxy_to_xywh(box[0]).tolist()
            binary = mask[0].numpy()
            found.append(
                MaskRecord(binary, predicted_iou, stability, (x, y, w, h), mask_area(binary))
            )
    if not found:
        return []
    kept = batched_nms(
        torch.cat(boxes).float(),
        torch.tensor([record.predicted_iou for record in found]),
        torch.zeros(len(found)),
        iou_threshold=options.box_nms_thresh,
    )
    return [found[index] for index in kept.tolist()]
