"""Masks as PNG images."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
from PIL import Image, ImageColor

from mobilesam.errors import PromptError
from mobilesam.export.classes import ClassList
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
_FORMULA = re.compile(r"(\A|;)(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")  # also of full width
_BLACK = "#000000"
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
        raise PromptError(f"An index image can hold at most {MAX_INDEX} objects. Use coco_rle.")
    colours = [item.colour or PALETTE[index % len(PALETTE)] for index, item in enumerate(objects)]
    return _palette_png(objects, range(1, len(objects) + 1), objects[0].size_hw, colours)


def class_png(
    objects: Sequence[PhotoObject], size_hw: tuple[int, int], classes: ClassList
) -> bytes:
    """Encodes all objects of a photo of size (H, W) as one palette PNG in the colours of classes.

    A pixel's value is the id of its class, or 0 for background, which is black. Where masks
    overlap, the later object wins. PromptError if there are more than 255 classes.
    """
    ids = [classes.id_of(item.name) for item in objects]
    if max(ids, default=0) > MAX_INDEX:
        raise PromptError(f"A class image can hold at most {MAX_INDEX} classes. Use coco_rle.")
    return _palette_png(objects, ids, size_hw, map(class_colour, range(1, MAX_INDEX + 1)))


def class_colour(class_id: int) -> str:
    """The colour of a class, as "#rrggbb"; black for the background, 0."""
    return PALETTE[(class_id - 1) % len(PALETTE)] if class_id else _BLACK


def classes_csv(classes: ClassList) -> str:
    """The legend of class images: the columns id, name and colour, beginning with 0, background.

    A name that a spreadsheet would take for a formula gets an apostrophe in front, see `_as_text`.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("id", "name", "colour"))
    for class_id, name in enumerate(("background", *classes.names)):
        rows.writerow((class_id, _as_text(name), class_colour(class_id)))
    return text.getvalue()


def _as_text(cell: str) -> str:
    """A cell of a CSV file that no spreadsheet calculates, as OWASP advises ("CSV injection").

    An apostrophe goes before =, +, - or @ at the beginning, and after a semicolon, which separates
    cells in many languages. Other names stay as they are.
    """
    return _FORMULA.sub(r"\1'", cell)


def _palette_png(
    objects: Sequence[PhotoObject],
    values: Iterable[int],
    size_hw: tuple[int, int],
    colours: Iterable[str],
) -> bytes:
    """An (H, W) PNG with one of the values 1 to 255 for each object, and their colours."""
    pixels = np.zeros(size_hw, np.uint8)
    for value, item in zip(values, objects, strict=True):
        (x, y), mask = item.crop()
        pixels[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = value
    image = Image.fromarray(pixels)
    image.putpalette(list(chain.from_iterable(map(ImageColor.getrgb, (_BLACK, *colours)))))
    return _png(image)


def _png(image: Image.Image, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()
