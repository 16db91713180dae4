"""The original to compare with: the mobile_sam package on the bundled weights, and its picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from mobile_sam.modeling import Sam

ROOT = Path(__file__).resolve().parents[1]


def original_sam() -> Sam:
    """Its model in eval mode.

    Only here is mobile_sam imported: it puts its own encoder into timm's registry, in the place
    of the one that this project builds.
    """
    from mobile_sam import sam_model_registry

    from mobilesam.model.checkpoint import read_tensors

    sam = sam_model_registry["vit_t"]()
    sam.load_state_dict(read_tensors(ROOT / "weights"), strict=False)
    return sam.eval()


def composited(photo: Image.Image, mask: np.ndarray) -> Image.Image:
    """The photo with the mask in colour over it, as the original answers a click."""
    overlay = np.zeros((*mask.shape, 4), np.uint8)
    overlay[mask] = (30, 144, 255, 153)
    return Image.alpha_composite(photo.convert("RGBA"), Image.fromarray(overlay))
