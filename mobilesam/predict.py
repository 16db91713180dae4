"""The mask decoder: from an embedding and a prompt to masks, without any state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mobilesam.embedding import ImageEmbedding
from mobilesam.errors import PromptError
from mobilesam.masks import Mask
from mobilesam.model.backend import ModelBackend
from mobilesam.prompts import Prompt

LOGITS_SIDE = 256


@dataclass(frozen=True, eq=False)
class Prediction:
    """The decoder's masks for one prompt.

    Attributes:
        low_res_logits: (C, 256, 256) float32 in the padded square of the model; `[i:i+1]` serves as
            the next mask_input.
        iou_predictions: (C,) float32, the decoder's own estimate of each mask's IoU.
        original_size: (H, W) of the upright photo.
        input_size: (H, W) of the photo within the model's square of 1024.
        mask_threshold: the logit above which a pixel is in the mask.
    """

    low_res_logits: NDArray[np.float32]
    iou_predictions: NDArray[np.float32]
    original_size: tuple[int, int]
    input_size: tuple[int, int]
    mask_threshold: float

    @property
    def nbytes(self) -> int:
        """Size in bytes, without `masks`."""
        return self.low_res_logits.nbytes + self.iou_predictions.nbytes

    @property
    def best(self) -> int:
        """Index of the default candidate: the one with the highest predicted IoU."""
        return int(self.iou_predictions.argmax())

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """(C, H, W) bool at the photo's own size, computed on first access."""
        return np.stack([self.mask(index) for index in range(len(self.low_res_logits))])

    def mask(self, index: int, size_hw: tuple[int, int] | None = None) -> Mask:
        """The (H, W) bool mask of one candidate, scaled to `size_hw` or at the photo's size."""
        size_hw = size_hw or self.original_size
        logits = upscale_logits(self.low_res_logits[index], self.input_size, size_hw)
        return logits > self.mask_threshold


def upscale_logits(
    low_res_logits: NDArray[np.float32], input_size: tuple[int, int], size_hw: tuple[int, int]
) -> NDArray[np.float32]:
    """Logits at the size of a photo, in two bilinear steps as segment-anything does it.

    256 x 256 is scaled to the model's 1024 x 1024, the padding cut off, and the rest scaled again.
    One step instead of two would move up to 1% of the pixels. OpenCV's bilinear filter has the
    same sampling points as torch's (align_corners=False) and is many times faster here.

    Args:
        low_res_logits: (256, 256) float32.
        input_size: (H, W) of the photo within the model's square.
        size_hw: (H, W) of the result.

    Returns:
        (H, W) float32.
    """
    side = max(input_size)
    square = cv2.resize(low_res_logits, (side, side), interpolation=cv2.INTER_LINEAR)
    valid = square[: input_size[0], : input_size[1]]
    if size_hw == input_size:
        return np.asarray(valid, dtype=np.float32)
    scaled = cv2.resize(valid, (size_hw[1], size_hw[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(scaled, dtype=np.float32)


def predict_masks(
    backend: ModelBackend,
    embedding: ImageEmbedding,
    prompt: Prompt,
    mask_input: NDArray[np.float32] | None = None,
    multimask_output: bool | None = None,
) -> Prediction:
    """Decodes one prompt.

    Args:
        backend: the model.
        embedding: the photo.
        prompt: at least one point or a box, within the photo.
        mask_input: (1, 256, 256) logits of an earlier prediction, to be refined.
        multimask_output: True for three candidates, False for one, None for SAM's rule: three for
            a single point, which is ambiguous, one for everything else.

    Raises:
        PromptError: the prompt is empty or extends outside the photo, or mask_input is not
            finite logits of that shape.
    """
    prompt.check_answerable(embedding.original_size)
    if multimask_output is None:
        multimask_output = prompt.is_single_point
    low_res_logits, iou_predictions = decode_batch(
        backend, embedding, [prompt], _checked_logits(mask_input), multimask_output
    )
    return Prediction(
        low_res_logits[0].float().cpu().numpy(),
        iou_predictions[0].float().cpu().numpy(),
        embedding.original_size,
        embedding.input_size,
        backend.mask_threshold,
    )


@torch.inference_mode()
def decode_batch(
    backend: ModelBackend,
    embedding: ImageEmbedding,
    prompts: Sequence[Prompt],
    mask_input: NDArray[np.float32] | None = None,
    multimask_output: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Decodes prompts with equal numbers of points, either all with a box or all without.

    Args:
        backend: the model.
        embedding: the photo.
        prompts: B prompts.
        mask_input: (1, 256, 256) float32 logits for all of them.
        multimask_output: whether C is 3 or 1.

    Returns:
        low_res_logits (B, C, 256, 256) and iou_predictions (B, C), on the model's device.
    """
    device = backend.device
    points, boxes = None, None
    if prompts[0].point_coords:
        coords = np.array([prompt.point_coords for prompt in prompts]) * _scale_xy(embedding)
        points = (
            torch.tensor(coords, dtype=torch.float32, device=device),
            torch.tensor([prompt.point_labels for prompt in prompts], device=device),
        )
    if prompts[0].box is not None:
        corners = np.array([prompt.box for prompt in prompts]) * np.tile(_scale_xy(embedding), 2)
        boxes = torch.tensor(corners, dtype=torch.float32, device=device)
    logits = None if mask_input is None else torch.from_numpy(mask_input).to(device)[None]
    sparse, dense = backend.prompt_encoder(points=points, boxes=boxes, masks=logits)
    low_res_logits, iou_predictions = backend.mask_decoder(
        image_embeddings=embedding.features,
        image_pe=backend.image_pe,
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=multimask_output,
    )
    return low_res_logits, iou_predictions


def _scale_xy(embedding: ImageEmbedding) -> NDArray[np.float64]:
    """(2,) factors from the photo's pixels to the model's, each side by its own rounding."""
    (height, width), (input_height, input_width) = embedding.original_size, embedding.input_size
    return np.array([input_width / width, input_height / height])


def _checked_logits(mask_input: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    if mask_input is None:
        return None
    logits = np.asarray(mask_input)
    if logits.shape != (1, LOGITS_SIDE, LOGITS_SIDE) or logits.dtype.kind != "f":
        raise PromptError(
            f"mask_input must be (1, {LOGITS_SIDE}, {LOGITS_SIDE}) float logits, not "
            f"{logits.shape} {logits.dtype}; pass prediction.low_res_logits[i:i+1]."
        )
    if not np.isfinite(logits).all():
        raise PromptError("mask_input must be finite logits.")
    return logits.astype(np.float32, copy=False)
