"""Prompt encoder and mask decoder: from an embedding and a prompt to masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mobilesam.candidates import candidate_scores
from mobilesam.embedding import ImageEmbedding
from mobilesam.errors import PromptError
from mobilesam.frame import Frame
from mobilesam.masks import Mask
from mobilesam.model.backend import ModelBackend
from mobilesam.prompts import Prompt


@dataclass(frozen=True, eq=False)
class Prediction:
    """The decoder's masks for one prompt.

    Attributes:
        low_res_logits: (C, 256, 256) float32 in the padded square of the model; `[i:i+1]` is the
            next mask_input.
        iou_predictions: (C,) float32, the decoder's own estimate of each mask's IoU.
        frame: the photo or the crop of it that was encoded, and its place in the model's square.
        mask_threshold: the logit above which a pixel is in the mask.
        confidence_weight: of the weights, see `mobilesam.candidates.candidate_scores`.
    """

    low_res_logits: NDArray[np.float32]
    iou_predictions: NDArray[np.float32]
    frame: Frame
    mask_threshold: float
    confidence_weight: float = 0.0

    @property
    def original_size(self) -> tuple[int, int]:
        """(H, W) of the upright photo."""
        return self.frame.original_size

    @property
    def input_size(self) -> tuple[int, int]:
        """(H, W) of what was encoded within the model's square of 1024."""
        return self.frame.input_size

    @cached_property
    def best(self) -> int:
        """Index of the default candidate: with the official weights, the highest predicted IoU.

        For other weights see `mobilesam.candidates`.
        """
        scores = candidate_scores(self.low_res_logits, self.iou_predictions, self.confidence_weight)
        return int(scores.argmax())

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """(C, H, W) bool at the photo's own size."""
        return np.stack([self.mask(index) for index in range(len(self.low_res_logits))])

    def mask(self, index: int, size_hw: tuple[int, int] | None = None) -> Mask:
        """The (H, W) bool mask of one candidate, scaled to `size_hw` or at the photo's size.

        If a crop was encoded, it is empty outside the crop.
        """
        size_hw = size_hw or self.original_size
        rows, columns = self.frame.encoded_part(size_hw)
        part_hw = rows.stop - rows.start, columns.stop - columns.start
        logits = upscale_logits(self.low_res_logits[index], self.input_size, part_hw)
        return self.frame.placed(logits > self.mask_threshold, size_hw)


def upscale_logits(
    low_res_logits: NDArray[np.float32], input_size: tuple[int, int], size_hw: tuple[int, int]
) -> NDArray[np.float32]:
    """Scales (256, 256) logits to the size of a photo, in two steps as segment-anything does.

    They are scaled to the model's 1024 x 1024, the padding is cut off, and the rest, which has
    `input_size`, is scaled to `size_hw`. A single step would change up to 1% of the pixels.
    """
    # OpenCV's filter samples at the same points as torch's (align_corners=False), and is faster.
    side = max(input_size)
    square = cv2.resize(low_res_logits, (side, side), interpolation=cv2.INTER_LINEAR)
    valid = square[: input_size[0], : input_size[1]]
    scaled = cv2.resize(valid, size_hw[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(scaled, dtype=np.float32)


def predict_masks(
    backend: ModelBackend,
    embedding: ImageEmbedding,
    prompt: Prompt,
    mask_input: NDArray[np.float32] | None = None,
    multimask_output: bool | None = None,
) -> Prediction:
    """Decodes one prompt: at least one point or a box, within what was encoded.

    Its coordinates are pixels of the upright photo, also where a crop was encoded.

    `mask_input` has the (1, 256, 256) logits of an earlier prediction, to be refined.
    `multimask_output` is True for three candidates, False for one, None for SAM's rule: three for a
    single point, which is ambiguous, one for everything else.

    Raises:
        PromptError: the prompt or mask_input is anything else.
    """
    prompt.check_answerable(embedding.original_size)
    if not prompt.is_within(embedding.frame.encoded_xyxy):
        raise PromptError("The points and the box must lie within the crop that was encoded.")
    if mask_input is not None:
        mask_input = _checked_logits(mask_input)
    if multimask_output is None:
        multimask_output = prompt.is_single_point
    decoded = decode_batch(backend, embedding, [prompt], mask_input, multimask_output)
    low_res_logits, iou_predictions = backend.fetch(*decoded)
    return Prediction(
        low_res_logits[0],
        iou_predictions[0],
        embedding.frame,
        backend.mask_threshold,
        backend.confidence_weight,
    )


def decode_batch(
    backend: ModelBackend,
    embedding: ImageEmbedding,
    prompts: Sequence[Prompt],
    mask_input: NDArray[np.float32] | None = None,
    multimask_output: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Decodes B prompts with equal numbers of points, either all with a box or all without.

    Returns low_res_logits (B, C, 256, 256) and iou_predictions (B, C), on the model's device; C is
    3 with multimask_output, else 1.
    """
    points, boxes = None, None
    if prompts[0].point_coords:
        coords = embedding.frame.to_input([prompt.point_coords for prompt in prompts])
        points = (
            torch.tensor(coords, dtype=torch.float32),
            torch.tensor([prompt.point_labels for prompt in prompts]),
        )
    if prompts[0].box is not None:
        corners = np.reshape([prompt.box for prompt in prompts], (-1, 2, 2))
        boxes_xyxy = embedding.frame.to_input(corners).reshape(-1, 4)
        boxes = torch.tensor(boxes_xyxy, dtype=torch.float32)
    logits = None if mask_input is None else torch.from_numpy(mask_input)[None]
    return backend.decode(embedding.features, points, boxes, logits, multimask_output)


def _checked_logits(mask_input: NDArray[np.float32]) -> NDArray[np.float32]:
    logits = np.asarray(mask_input)
    if logits.shape != (1, 256, 256) or logits.dtype.kind != "f" or not np.isfinite(logits).all():
        raise PromptError(
            "mask_input must be (1, 256, 256) finite float logits, such as "
            "prediction.low_res_logits[i:i+1]."
        )
    return logits.astype(np.float32, copy=False)
