"""labelme's JSON, one file a photo."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import AnnotationError
from mobilesam.export.documents import (
    Fields,
    check_room,
    check_same_size,
    fields_of,
    items_of,
    object_from_file,
    polygon_xy,
    spent_outline,
)
from mobilesam.export.pictures import mask_png
from mobilesam.masks import Mask, mask_bounds_xyxy
from mobilesam.objects import PackedObjects, PhotoObject, check_sizes
from mobilesam.polygons import fill_centres, has_holes, mask_outlines

LABELME_VERSION = "5.5.0"
"""A release that knows all that is written here."""


def labelme_document(
    file_name: str, size_hw: tuple[int, int], objects: Sequence[PhotoObject]
) -> Fields:
    """The photo's objects, ready for json.dump; empty masks are left out.

    A mask in one part without holes is a `polygon`, which labelme can edit; any other, and one too
    thin for three vertices, is a `mask`. A reader gets both exactly.

    Args:
        file_name: of the photo, beside which labelme expects the file.
        size_hw: (H, W) of the photo.
        objects: of the photo.

    Raises:
        PromptError: a mask is not of the photo's size.
    """
    check_sizes(objects, size_hw)
    return {
        "version": LABELME_VERSION,
        "flags": {},
        "shapes": [_shape(item) for item in objects if item.mask.any()],
        "imagePath": file_name,
        "imageData": None,
        "imageHeight": size_hw[0],
        "imageWidth": size_hw[1],
    }


def read_labelme(
    document: object, size_hw: tuple[int, int], effort: CpuBudget | None = None
) -> PackedObjects:
    """The objects in a labelme file: its polygons, rectangles and masks.

    Shapes with the same label and group are parts of one object, as labelme has it.

    Args:
        document: parsed JSON.
        size_hw: (H, W) of the photo.
        effort: bounds what is done.

    Raises:
        PromptError: the effort is spent.
        AnnotationError: it is no such file, is for a photo of another size, is damaged, asks for
            more than can be read, or has shapes without an area.
    """
    content = fields_of(document, "A labelme file")
    height, width = content.get("imageHeight"), content.get("imageWidth")
    if (height, width) != (None, None):  # old files do not say
        check_same_size(height, width, size_hw)
    shapes = items_of(content.get("shapes"), "The shapes of a labelme file")
    check_room(len(shapes), size_hw)
    groups: dict[object, list[Fields]] = {}
    for index, shape in enumerate(shapes):
        fields = fields_of(shape, "A shape")
        label, group = fields.get("label"), fields.get("group_id")
        grouped = isinstance(label, str) and isinstance(group, int)
        groups.setdefault((label, group) if grouped else index, []).append(fields)
    return PackedObjects(_read(groups.values(), size_hw), effort)


def _read(groups: Iterable[list[Fields]], size_hw: tuple[int, int]) -> Iterator[PhotoObject]:
    spent_px = 0.0
    for parts in groups:
        whole = np.zeros(size_hw, bool)
        for fields in parts:
            mask, spent_px = _mask(fields, size_hw, spent_px)
            whole |= mask
        yield object_from_file(parts[0].get("label"), whole, parts[0].get("predicted_iou"))


def _shape(item: PhotoObject) -> Fields:
    shape: Fields = {
        "label": item.name,
        "group_id": None,
        "description": "",
        "flags": {},
        "mask": None,
    }
    if item.predicted_iou is not None:
        shape["predicted_iou"] = item.predicted_iou
    outlines = mask_outlines(item.mask, "centres")
    if len(outlines) == 1 and len(outlines[0]) >= 3 and not has_holes(item.mask):
        return shape | {"shape_type": "polygon", "points": outlines[0].tolist()}
    x0, y0, x1, y1 = mask_bounds_xyxy(item.mask)
    png = mask_png(item.mask[y0:y1, x0:x1])
    return shape | {
        "shape_type": "mask",
        "points": [[x0, y0], [x1 - 1, y1 - 1]],
        "mask": base64.b64encode(png).decode("ascii"),
    }


def _mask(fields: Fields, size_hw: tuple[int, int], spent_px: float) -> tuple[Mask, float]:
    """The shape's mask, and what the file's polygons have cost with it."""
    points = [items_of(point, "A point") for point in items_of(fields.get("points"), "Points")]
    if not all(len(point) == 2 for point in points):
        raise AnnotationError("A point of a labelme file is x and y.")
    kind = fields.get("shape_type", "polygon")
    if kind in ("mask", "rectangle"):
        if len(points) != 2:
            raise AnnotationError(f"A labelme {kind} has two corners.")
        # A corner twice makes a polygon of three vertices, to be checked as one.
        corners_xy = polygon_xy([*points[0], *points[1], *points[1]], size_hw)
        box = _box_slices(corners_xy, size_hw)
        mask = np.zeros(size_hw, bool)
        mask[box] = kind == "rectangle" or _png_mask(fields.get("mask"), mask[box].shape)
        return mask, spent_px
    if kind not in ("polygon", "oriented_rectangle"):
        raise AnnotationError("Of labelme's shapes only polygons, rectangles and masks are read.")
    polygon = polygon_xy([number for point in points for number in point], size_hw)
    spent_px = spent_outline([polygon], spent_px)
    return fill_centres(polygon, size_hw), spent_px


def _box_slices(corners_xy: NDArray[np.float64], size_hw: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the box with these corners, both of them within it."""
    height, width = size_hw
    pixels = np.minimum(np.floor(corners_xy), (width - 1, height - 1)).astype(int)
    (x0, y0), (x1, y1) = pixels.min(axis=0).tolist(), pixels.max(axis=0).tolist()
    return slice(y0, y1 + 1), slice(x0, x1 + 1)


def _png_mask(text: object, size_hw: tuple[int, ...]) -> Mask:
    """The (H, W) bool mask of a PNG in base64; any pixel but a black one is in it."""
    if not isinstance(text, str):
        raise AnnotationError("A labelme mask is a PNG in base64.")
    try:
        data = base64.b64decode(text, validate=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large headers; the size is checked here
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                if (image.height, image.width) != size_hw or len(image.getbands()) > 1:
                    raise AnnotationError("A labelme mask must be a grey PNG of its box's size.")
                return np.asarray(image).astype(bool)
    except AnnotationError:
        raise
    except Exception as error:  # Pillow's decoder raises almost anything on damaged files.
        raise AnnotationError("A labelme mask is not a PNG in base64 that can be read.") from error
