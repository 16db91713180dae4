"""MobileSAM: timm's TinyViT with SAM's neck, prompt encoder and mask decoder."""

from pathlib import Path

import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from timm.models.tiny_vit import tiny_vit_5m_224
from torch import nn

from mobilesam.model.checkpoint import load_checkpoint

_TRUNK_CHANNELS = 320
_CHANNELS = 256


class TinyVitEncoder(nn.Module):
    """Maps a preprocessed photo to SAM's image embedding.

    The trunk is timm's `tiny_vit_5m_224` with MobileSAM's change (arXiv 2306.14289, section 4): the
    last downsampling has stride 1, so that 1024 x 1024 pixels give 64 x 64 tokens, as in SAM's
    ViT-H. The neck is SAM's.

    Attributes:
        img_size: side in pixels of the square input; segment_anything.modeling.Sam pads to it.
    """

    img_size = 1024

    def __init__(self) -> None:
        super().__init__()
        self.trunk = tiny_vit_5m_224(drop_path_rate=0.0)
        self.trunk.head = nn.Identity()  # the ImageNet classifier is unused
        self.trunk.stages[3].downsample.conv2.conv.stride = (1, 1)
        self.neck = nn.Sequential(
            nn.Conv2d(_TRUNK_CHANNELS, _CHANNELS, 1, bias=False),
            LayerNorm2d(_CHANNELS),
            nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1, bias=False),
            LayerNorm2d(_CHANNELS),
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normalised RGB (B, 3, 1024, 1024), padded right and bottom, to (B, 256, 64, 64)."""
        embedding: torch.Tensor = self.neck(self.trunk.forward_features(pixels))
        return embedding


def build_sam() -> Sam:
    """Builds MobileSAM with random weights, in training mode.

    The hyperparameters are those of segment_anything's builders; only the image encoder differs.
    """
    return Sam(
        image_encoder=TinyVitEncoder(),  # type: ignore[arg-type]  # any module works
        prompt_encoder=PromptEncoder(
            embed_dim=_CHANNELS,
            image_embedding_size=(64, 64),
            input_image_size=(TinyVitEncoder.img_size, TinyVitEncoder.img_size),
            mask_in_chans=16,
        ),
        mask_decoder=MaskDecoder(
            transformer_dim=_CHANNELS,
            transformer=TwoWayTransformer(
                depth=2, embedding_dim=_CHANNELS, mlp_dim=2048, num_heads=8
            ),
        ),
    )


def load_sam(path: Path, device: torch.device) -> Sam:
    """Builds MobileSAM in eval mode; `load_checkpoint` describes the file and the WeightsErrors."""
    sam = build_sam()
    load_checkpoint(sam, path)
    # Only after loading: timm's TinyViT caches its attention biases when it enters eval mode.
    return sam.eval().requires_grad_(False).to(device)
