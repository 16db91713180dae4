"""labelme's JSON, one file per photo."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, FailFast, Field

from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import AnnotationError
from mobilesam.export.documents import (
    MAX_DOCUMENT_OBJECTS,
    Items,
    JsonObject,
    PolygonReader,
    check_photo_size,
    pack_objects,
    polygon_xy,
    validate_file,
)
from mobilesam.export.pictures import mask_png
from mobilesam.masks import Mask, mask_bounds_xyxy
from mobilesam.objects import PackedObjects, PhotoObject
from mobilesam.polygons import count_parts_and_holes, fill_centres, mask_outlines
from mobilesam.schemas import Number, expected

LABELME_VERSION = "5.5.0"
"""A release that reads everything written here."""


def labelme_document(
    file_name: str, size_hw: tuple[int, int], objects: Sequence[PhotoObject]
) -> JsonObject:
    """Describes a photo's objects as a labelme document, ready for json.dump.

    A mask in one part without holes becomes a `polygon`, which can be edited in labelme; any other
    mask, and one too thin for three vertices, becomes a `mask`. Both are exact. Empty masks are
    skipped. labelme looks for `file_name` beside the document.
    """
    return {
        "version": LABELME_VERSION,
        "flags": {},
        "shapes": [_to_shape(item) for item in objects if item.mask.any()],
        "imagePath": file_name,
        "imageData": None,
        "imageHeight": size_hw[0],
        "imageWidth": size_hw[1],
    }


def _to_shape(item: PhotoObject) -> JsonObject:
    shape: JsonObject = {
        "label": item.name,
        "group_id": None,
        "description": "",
        "flags": {},
        "mask": None,
    }
    if item.predicted_iou is not None:
        shape["predicted_iou"] = item.predicted_iou
    outlines = mask_outlines(item.mask, "centres")
    if len(outlines[0]) >= 3 and count_parts_and_holes(item.mask) == (1, 0):
        return shape | {"shape_type": "polygon", "points": outlines[0].tolist()}
    x0, y0, x1, y1 = mask_bounds_xyxy(item.mask)
    png = mask_png(item.mask[y0:y1, x0:x1])
    return shape | {
        "shape_type": "mask",
        "points": [[x0, y0], [x1 - 1, y1 - 1]],
        "mask": base64.b64encode(png).decode("ascii"),
    }


class _Shape(BaseModel):
    label: str
    points: Annotated[list[tuple[Any, Any]], FailFast(), expected("a list of points [x, y]")]
    shape_type: Literal["polygon", "rectangle", "oriented_rectangle", "mask"] = "polygon"
    group_id: Any = None
    mask: str | None = None
    predicted_iou: Number | None = None


class _LabelmeFile(BaseModel):
    shapes: Annotated[Items[_Shape], Field(max_length=MAX_DOCUMENT_OBJECTS)]
    imageHeight: Number | None = None  # noqa: N815
    imageWidth: Number | None = None  # noqa: N815


def read_labelme(
    document: object, size_hw: tuple[int, int], budget: CpuBudget | None = None
) -> PackedObjects:
    """Reads the polygons, rectangles and masks of a labelme file.

    Shapes with the same label and group id are parts of one object, as in labelme.

    Args:
        document: parsed JSON.
        size_hw: (H, W) of the photo.
        budget: limits the time spent on the objects.

    Raises:
        PromptError: the budget is exhausted.
        AnnotationError: the document cannot be read, is for a photo of another size, or has shapes
            without an area.
    """
    content = validate_file(_LabelmeFile, document, "labelme")
    height, width = content.imageHeight, content.imageWidth
    if (height, width) != (None, None):  # old files do not have them
        check_photo_size(height, width, size_hw)
    groups: dict[object, list[_Shape]] = {}
    for index, shape in enumerate(content.shapes):
        grouped = isinstance(shape.group_id, int)
        groups.setdefault((shape.label, shape.group_id) if grouped else index, []).append(shape)
    return pack_objects(len(content.shapes), _masks(groups.values(), size_hw), size_hw, budget)


def _masks(
    groups: Iterable[list[_Shape]], size_hw: tuple[int, int]
) -> Iterator[tuple[str, Mask, float | None]]:
    reader = PolygonReader(size_hw)
    for parts in groups:
        union = np.zeros(size_hw, bool)
        for shape in parts:
            union |= _shape_mask(shape, size_hw, reader)
        yield parts[0].label, union, parts[0].predicted_iou


def _shape_mask(shape: _Shape, size_hw: tuple[int, int], reader: PolygonReader) -> Mask:
    if shape.shape_type in ("polygon", "oriented_rectangle"):
        return fill_centres(
            reader.read([number for point in shape.points for number in point]), size_hw
        )
    if len(shape.points) != 2:
        raise AnnotationError(f"A labelme {shape.shape_type} must have two corners.")
    # The second corner twice makes three vertices, so that the corners are checked as a polygon.
    corners_xy = polygon_xy([*shape.points[0], *shape.points[1], *shape.points[1]], size_hw)
    box = _box_slices(corners_xy, size_hw)
    mask = np.zeros(size_hw, bool)
    mask[box] = shape.shape_type == "rectangle" or _png_mask(shape.mask, mask[box].shape)
    return mask


def _box_slices(corners_xy: NDArray[np.float64], size_hw: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the box that includes the pixels at both corners."""
    height, width = size_hw
    pixels = np.minimum(np.floor(corners_xy), (width - 1, height - 1)).astype(int)
    (x0, y0), (x1, y1) = pixels.min(axis=0).tolist(), pixels.max(axis=0).tolist()
    return slice(y0, y1 + 1), slice(x0, x1 + 1)


def _png_mask(text: str | None, size_hw: tuple[int, ...]) -> Mask:
    """Decodes the (H, W) bool mask of a PNG in base64; every pixel that is not black is set."""
    try:
        data = base64.b64decode(text or "", validate=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about large images; the size is checked here
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                if (image.height, image.width) != size_hw or len(image.getbands()) > 1:
                    raise AnnotationError("A labelme mask must be a grey PNG of its box's size.")
                return np.asarray(image).astype(bool)
    except AnnotationError:
        raise
    except Exception as error:  # Pillow's decoders raise almost anything for damaged files
        raise AnnotationError("A labelme mask must be a valid PNG in base64.") from error
