"""Masks as pictures."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import numpy as np
from PIL import Image

from mobilesam.errors import PromptError
from mobilesam.export.file_names import safe_file_stem
from mobilesam.images import Photo
from mobilesam.masks import Mask, mask_bounds_xyxy
from mobilesam.objects import PhotoObject, check_sizes

MAX_INDEX = 255
_PHOTO_COMPRESSION = 3
"""Of 9: a photo takes a third of the time that zlib's usual 6 takes, and 15% more bytes."""


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
    return _png(Image.fromarray(np.dstack([colours, alpha])), compress_level=_PHOTO_COMPRESSION)


def index_png(objects: Sequence[PhotoObject]) -> bytes:
    """A palette PNG: a pixel's value is the 1-based place of its object in the list, 0 for none.

    Where masks overlap, the later object has the pixel. The palette is that of PASCAL VOC.

    Args:
        objects: of one photo.

    Raises:
        PromptError: none, more than 255, or masks of different sizes.
    """
    if not objects:
        raise PromptError("There are no objects yet; keep one first.")
    if len(objects) > MAX_INDEX:
        raise PromptError(f"An index picture holds at most {MAX_INDEX} objects.")
    check_sizes(objects, objects[0].size_hw)
    indices = np.zeros(objects[0].size_hw, np.uint8)
    for index, item in enumerate(objects, start=1):
        indices[item.mask] = index
    image = Image.fromarray(indices)
    image.putpalette([level for index in range(256) for level in _voc_colour(index)])
    return _png(image)


def cutouts_zip(photo: Photo, objects: Sequence[PhotoObject]) -> bytes:
    """A ZIP of cut-outs, `<place>-<name>.png`; empty masks are left out.

    The place counts from 1, as in `index_png`, and keeps the names apart.

    Args:
        photo: the upright photo.
        objects: of the photo.

    Raises:
        PromptError: all masks are empty, or one is not of the photo's size.
    """
    check_sizes(objects, photo.size_hw)
    if not any(item.mask.any() for item in objects):
        raise PromptError("All masks are empty, so there is nothing to cut out.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # a PNG is compressed already
        for place, item in enumerate(objects, start=1):
            if item.mask.any():
                # A ZipInfo of its own date: equal cut-outs make equal files.
                entry = zipfile.ZipInfo(f"{place}-{safe_file_stem(item.name, 'object')}.png")
                archive.writestr(entry, cutout_png(photo, item.mask))
    return buffer.getvalue()


def _voc_colour(index: int) -> tuple[int, int, int]:
    """PASCAL VOC's colour: the bits of the index, lowest first, fill R, G and B from the top."""
    red, green, blue = (
        sum((index >> (3 * place + channel) & 1) << (7 - place) for place in range(3))
        for channel in range(3)
    )
    return red, green, blue


def _png(image: Image.Image, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()
