"""Prompt encoder and mask decoder for training: many prompts on one photo, with gradients.

`mobilesam.predict` answers users by the modules that are fastest for inference.
"""

import torch
from segment_anything.modeling import Sam

from mobilesam.model.backend import MaskDecoder

STRIDE = 4
"""Pixels of the model's input per side of a logit."""


def decode(
    sam: Sam,
    embedding: torch.Tensor,
    point_coords: torch.Tensor,
    point_labels: torch.Tensor,
    boxes: torch.Tensor | None,
    mask_input: torch.Tensor | None,
    multimask_output: bool,
    mask_decoder: MaskDecoder | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Decodes N prompts on one photo; differentiable.

    Args:
        sam: the model; its prompt encoder must be built for embeddings of this size.
        embedding: (256, h, w) of the photo, on the model's device.
        point_coords: (N, K, 2) XY in pixels of the model's 16 h x 16 w square; K may be 0.
        point_labels: (N, K) 1 for foreground, 0 for background.
        boxes: (N, 4) XYXY in the same pixels, or None.
        mask_input: (N, 1, 4 h, 4 w) logits of an earlier prediction, or None.
        multimask_output: True for three candidates, False for one.
        mask_decoder: one that is faster without gradients; None for the model's own.

    Returns:
        Logits (N, C, 4 h, 4 w) and predicted IoUs (N, C), C is 3 with multimask_output, else 1.
    """
    # Positions lose their precision in 16 bits, so mixed precision is for the decoder alone.
    with torch.autocast(embedding.device.type, enabled=False):
        sparse, dense = sam.prompt_encoder(
            points=(point_coords, point_labels) if point_coords.shape[1] else None,
            boxes=boxes,
            masks=None if mask_input is None else mask_input.float(),
        )
        image_pe = sam.prompt_encoder.get_dense_pe()
    logits, iou_predictions = (mask_decoder or sam.mask_decoder)(
        image_embeddings=embedding[None].float(),
        image_pe=image_pe,
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=multimask_output,
    )
    return logits, iou_predictions
