"""timm's TinyViT-5M with SAM's neck: MobileSAM's image encoder."""

from __future__ import annotations

import torch
from segment_anything.modeling.common import LayerNorm2d
from timm.models.tiny_vit import tiny_vit_5m_224
from torch import nn

TRUNK_CHANNELS = 320
EMBEDDING_CHANNELS = 256


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
        """Builds the encoder with random weights, in training mode."""
        super().__init__()
        self.trunk = tiny_vit_5m_224(drop_path_rate=0.0)
        self.trunk.head = nn.Identity()  # the ImageNet classifier is unused
        self.trunk.stages[3].downsample.conv2.conv.stride = (1, 1)
        self.neck = nn.Sequential(
            nn.Conv2d(TRUNK_CHANNELS, EMBEDDING_CHANNELS, 1, bias=False),
            LayerNorm2d(EMBEDDING_CHANNELS),
            nn.Conv2d(EMBEDDING_CHANNELS, EMBEDDING_CHANNELS, 3, padding=1, bias=False),
            LayerNorm2d(EMBEDDING_CHANNELS),
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Computes the image embedding.

        Args:
            pixels: (B, 3, 1024, 1024) normalised RGB, padded right and bottom.

        Returns:
            (B, 256, 64, 64) image embedding.
        """
        embedding: torch.Tensor = self.neck(self.trunk.forward_features(pixels))
        return embedding
