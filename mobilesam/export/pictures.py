"""Masks as PNG images."""

import io
from collections.abc import Sequence
from itertools import chain

import numpy as np
from PIL import Image, ImageColor

from mobilesam.errors import PromptError
from mobilesam.export.soft_edges import (
    ESTIMATE_PX,
    SOFT_MARGIN_PX,
    foreground_colours,
    soft_alpha,
)
from mobilesam.images import Photo
from mobilesam.masks import Mask, mask_bounds_xyxy
from mobilesam.objects import PALETTE, PhotoObject

MAX_INDEX = 255
_PHOTO_COMPRESSION = 3  # a third of the time of the default, 6, for files that are 15% larger


def mask_png(mask: Mask) -> bytes:
    """Encodes an (H, W) bool mask as an 8-bit greyscale PNG: 255 inside, 0 outside."""
    return _png(Image.fromarray(mask.astype(np.uint8) * 255))


def cutout_bounds_xyxy(mask: Mask, soft: bool = False) -> tuple[int, int, int, int]:
    """The part of the photo that a cut-out of an (H, W) mask shows, as (x0, y0, x1, y1).

    PromptError if the mask is empty.
    """
    bounds = mask_bounds_xyxy(mask)
    if bounds[0] == bounds[2]:
        raise PromptError("The mask is empty, so there is nothing to cut out.")
    return _grown(bounds, SOFT_MARGIN_PX if soft else 0, mask)


def cutout_png(photo: Photo, mask: Mask, soft: bool = False) -> bytes:
    """Encodes the object as an RGBA PNG, cropped to the (H, W) mask and transparent outside it.

    The colours are sRGB. With `soft`, the edge is two pixels wide and has the colours of the object
    only; otherwise alpha is 255 or 0 and the colours are the photo's.

    PromptError if the mask is empty.
    """
    x0, y0, x1, y1 = cutout_bounds_xyxy(mask, soft)
    if soft:
        left, top, right, bottom = _grown((x0, y0, x1, y1), ESTIMATE_PX, mask)
        alpha = soft_alpha(mask[top:bottom, left:right])
        colours = foreground_colours(photo.pixels[top:bottom, left:right], alpha)
        crop = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
        rgba = np.dstack([colours[crop], alpha[crop]])
    else:
        inside = mask[y0:y1, x0:x1]
        # Clear the colours outside the mask too: transparent pixels must not reveal the photo.
        colours = photo.pixels[y0:y1, x0:x1] * inside[..., None]
        rgba = np.dstack([colours, inside.astype(np.uint8) * 255])
    return _png(Image.fromarray(rgba), compress_level=_PHOTO_COMPRESSION)


def _grown(
    bounds_xyxy: tuple[int, int, int, int], margin: int, mask: Mask
) -> tuple[int, int, int, int]:
    """Bounds with a margin in pixels, as far as the mask reaches."""
    x0, y0, x1, y1 = bounds_xyxy
    height, width = mask.shape
    return (
        max(0, x0 - margin),
        max(0, y0 - margin),
        min(width, x1 + margin),
        min(height, y1 + margin),
    )


def index_png(objects: Sequence[PhotoObject]) -> bytes:
    """Encodes all objects as one palette PNG, each in its own colour or the next one of PALETTE.

    A pixel's value is the 1-based index of its object in the list, or 0 for background, which is
    black. Where masks overlap, the later object wins. PromptError if there are more than 255
    objects.
    """
    if len(objects) > MAX_INDEX:
        raise PromptError(f"An index image can hold at most {MAX_INDEX} objects.")
    indices = np.zeros(objects[0].size_hw, np.uint8)
    for index, item in enumerate(objects, start=1):
        indices[item.mask] = index
    image = Image.fromarray(indices)
    colours = (item.colour or PALETTE[index % len(PALETTE)] for index, item in enumerate(objects))
    image.putpalette(list(chain.from_iterable(map(ImageColor.getrgb, ("#000000", *colours)))))
    return _png(image)


def _png(image: Image.Image, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()
