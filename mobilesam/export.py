"""Masks as files."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from mobilesam.errors import PromptError
from mobilesam.images import Photo
from mobilesam.masks import Mask, mask_bounds_xyxy


def mask_png(mask: Mask) -> bytes:
    """A black and white PNG of the mask at its own size: 255 inside, 0 outside.

    Args:
        mask: (H, W) bool.
    """
    return _png(Image.fromarray(mask.astype(np.uint8) * 255))


def cutout_png(photo: Photo, mask: Mask) -> bytes:
    """The object alone: a PNG cropped to the mask's bounds, transparent outside the mask.

    Args:
        photo: the upright photo.
        mask: (H, W) bool, of the photo's size.

    Raises:
        PromptError: the mask is empty, so there is nothing to cut out.
    """
    x0, y0, x1, y1 = mask_bounds_xyxy(mask)
    if x0 == x1:
        raise PromptError("The mask is empty, so there is nothing to cut out.")
    alpha = mask[y0:y1, x0:x1].astype(np.uint8) * 255
    # Outside the mask the colours go too: a transparent pixel must not carry the photo along.
    colours = photo.pixels[y0:y1, x0:x1] * mask[y0:y1, x0:x1, None]
    return _png(Image.fromarray(np.dstack([colours, alpha])))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
