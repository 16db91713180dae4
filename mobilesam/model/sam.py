"""MobileSAM: timm's image encoder with segment-anything's prompt encoder and mask decoder."""

from __future__ import annotations

from pathlib import Path

import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

from mobilesam.model.checkpoint import load_checkpoint
from mobilesam.model.tiny_vit import EMBEDDING_CHANNELS, TinyVitEncoder

TOKENS_PER_SIDE = 64


def build_sam() -> Sam:
    """Builds MobileSAM with random weights, in training mode.

    The hyperparameters are those of segment_anything's builders; only the image encoder differs.
    """
    return Sam(
        image_encoder=TinyVitEncoder(),  # type: ignore[arg-type]  # any module works
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
    """Builds MobileSAM with the weights of a checkpoint, in eval mode.

    Args:
        path: a state dict as `mobile_sam.pt`, a safetensors file, or a folder of its shards.
        device: where to put the model.

    Raises:
        WeightsError: the checkpoint is damaged or not MobileSAM's.
    """
    sam = build_sam()
    load_checkpoint(sam, path)
    # Only after loading: timm's TinyViT caches its attention biases when it enters eval mode.
    sam.eval()
    return sam.requires_grad_(False).to(device)
