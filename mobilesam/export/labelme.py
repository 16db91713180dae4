"""labelme's JSON, one file per photo."""

import base64
from collections.abc import Sequence
from functools import reduce
from operator import ior
from typing import Annotated, Any, Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, FailFast

from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import AnnotationError
from mobilesam.export.documents import Items, JsonObject, NamedMask, ObjectReader, validate_file
from mobilesam.export.outlines import object_outlines
from mobilesam.export.pictures import mask_png
from mobilesam.image_file import BoundedFile
from mobilesam.masks import Mask
from mobilesam.objects import PhotoObject
from mobilesam.polygons import count_parts_and_holes, fill_centres
from mobilesam.schemas import Number, expected


def labelme_document(
    file_name: str,
    size_hw: tuple[int, int],
    objects: Sequence[PhotoObject],
    tolerance: float = 0.0,
) -> JsonObject:
    """Describes a photo's objects as a labelme document, ready for json.dump.

    A mask in one part without holes becomes a `polygon`, which can be edited in labelme; any other
    mask, and one too thin for three vertices, becomes a `mask`. Both are exact, unless polygons are
    simplified by `tolerance` pixels. Empty masks are skipped. labelme looks for `file_name` beside
    the document.
    """
    return {
        "version": "5.5.0",  # a release that reads everything written here
        "flags": {},
        "shapes": [_to_shape(item, tolerance) for item in objects if item.area],
        "imagePath": file_name,
        "imageData": None,
        "imageHeight": size_hw[0],
        "imageWidth": size_hw[1],
    }


def _to_shape(item: PhotoObject, tolerance: float) -> JsonObject:
    shape: JsonObject = {"label": item.name, "group_id": None, "description": "", "flags": {}}
    if item.predicted_iou is not None:
        shape["predicted_iou"] = item.predicted_iou
    (x, y), mask = item.crop()
    if count_parts_and_holes(mask) == (1, 0):
        (outline,) = object_outlines(item, "centres", tolerance)
        if len(outline) >= 3:
            points = outline.tolist()
            return shape | {"shape_type": "polygon", "points": points, "mask": None}
    height, width = mask.shape
    return shape | {
        "shape_type": "mask",
        "points": [[x, y], [x + width - 1, y + height - 1]],
        "mask": base64.b64encode(mask_png(mask)).decode("ascii"),
    }


class _Shape(BaseModel):
    label: str
    points: Annotated[list[tuple[Any, Any]], FailFast(), expected("a list of points [x, y]")]
    shape_type: Literal["polygon", "rectangle", "oriented_rectangle", "mask"] = "polygon"
    group_id: Any = None
    mask: str | None = None
    predicted_iou: Number | None = None


class _LabelmeFile(BaseModel):
    shapes: Items[_Shape]
    imageHeight: Number | None = None  # noqa: N815
    imageWidth: Number | None = None  # noqa: N815


def read_labelme(
    document: object, size_hw: tuple[int, int], budget: CpuBudget | None = None
) -> list[PhotoObject]:
    """Reads the polygons, rectangles and masks of a labelme file.

    Shapes with the same label and group id are parts of one object, as in labelme. `document` is
    parsed JSON, `size_hw` the (H, W) of the photo; `budget`: see `PhotoObject`.

    Raises:
        AnnotationError: the document cannot be read, is for a photo of another size, or has shapes
            without an area.
        PromptError: the budget is spent.
    """
    content = validate_file(_LabelmeFile, document, "labelme")
    reader = ObjectReader(size_hw, budget)
    height, width = content.imageHeight, content.imageWidth
    if (height, width) != (None, None):  # old files do not have them
        reader.check_photo_size(height, width)
    groups: dict[str, list[_Shape]] = {}
    for index, shape in enumerate(content.shapes):
        group = (shape.label, shape.group_id) if isinstance(shape.group_id, int) else index
        groups.setdefault(repr(group), []).append(shape)  # by repr, as categories in read_coco
    found = (_named_mask(parts, reader) for parts in groups.values())
    return reader.objects(found, len(content.shapes))


def _named_mask(parts: Sequence[_Shape], reader: ObjectReader) -> NamedMask:
    union = reduce(ior, (_shape_mask(shape, reader) for shape in parts))
    return parts[0].label, union, parts[0].predicted_iou


def _shape_mask(shape: _Shape, reader: ObjectReader) -> Mask:
    size_hw = reader.size_hw
    if shape.shape_type in ("polygon", "oriented_rectangle"):
        coordinates = [number for point in shape.points for number in point]
        return fill_centres(reader.polygon(coordinates), size_hw)
    if len(shape.points) != 2:
        raise AnnotationError(f"A labelme {shape.shape_type} must have two corners.")
    # The second corner twice makes three vertices, so that the corners are checked as a polygon.
    corners = reader.corners([*shape.points[0], *shape.points[1], *shape.points[1]])
    pixels = np.minimum(np.floor(corners), (size_hw[1] - 1, size_hw[0] - 1)).astype(int)
    (x0, y0), (x1, y1) = pixels.min(axis=0).tolist(), pixels.max(axis=0).tolist()
    mask = np.zeros(size_hw, bool)
    box = mask[y0 : y1 + 1, x0 : x1 + 1]  # labelme includes the pixels at both corners
    box[:] = shape.shape_type == "rectangle" or _png_mask(shape.mask, box.shape)
    return mask


def _png_mask(text: str | None, size_hw: tuple[int, ...]) -> Mask:
    """Decodes the (H, W) bool mask of a PNG in base64; every pixel that is not black is set."""
    try:
        data = base64.b64decode(text or "", validate=True)
        file = BoundedFile(data)
        with Image.open(file, formats=("PNG",)) as image:
            if (image.height, image.width) == size_hw and len(image.getbands()) == 1:
                file.begin_pixels()
                return np.asarray(image).astype(bool)
    except Exception as error:  # Pillow's decoders raise almost anything for damaged files
        raise AnnotationError("A labelme mask must be a valid PNG in base64.") from error
    raise AnnotationError("A labelme mask must be a grey PNG of its box's size.")
