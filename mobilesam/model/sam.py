"""MobileSAM put together from timm's encoder and segment-anything's prompt encoder and decoder."""

from __future__ import annotations

from pathlib import Path

import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

from mobilesam.model.checkpoint import load_checkpoint
from mobilesam.model.tiny_vit import EMBEDDING_CHANNELS, TinyVitEncoder

TOKENS_PER_SIDE = 64


def build_sam() -> Sam:
    """MobileSAM's architecture with random weights, in training mode.

    The numbers are those of segment_anything's own builders; only the image encoder differs.
    """
    return Sam(
        image_encoder=TinyVitEncoder(),  # type: ignore[arg-type]  # any module will do
        prompt_encoder=PromptEncoder(
            embed_dim=EMBEDDING_CHANNELS,
            image_embedding_size=(TOKENS_PER_SIDE, TOKENS_PER_SIDE),
            input_image_size=(TinyVitEncoder.img_size, TinyVitEncoder.img_size),
            mask_in_chans=16,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(
                depth=2, embedding_dim=EMBEDDING_CHANNELS, mlp_dim=2048, num_heads=8
            ),
            transformer_dim=EMBEDDING_CHANNELS,
            iou_head_depth=3,
            iou_head_hidden_dim=256,
        ),
    )


def load_sam(path: Path, device: torch.device) -> Sam:
    """MobileSAM with the weights of a checkpoint, ready to predict.

    Args:
        path: a `mobile_sam.pt`-shaped file, a safetensors file, or a folder of safetensors shards.
        device: where to put it.

    Raises:
        WeightsError: the checkpoint is damaged or not MobileSAM's.
    """
    sam = build_sam()
    load_checkpoint(sam, path)
    # After loading, never before: in eval mode timm caches the attention biases it finds.
    sam.eval()
    return sam.requires_grad_(False).to(device)
