"""labelme's JSON, one file per photo."""

import base64
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel

from mobilesam.export.documents import (
    FAR_PX,
    Items,
    JsonObject,
    ObjectReader,
    PhotoAnnotations,
    RowLimit,
    Shape,
    SkippedError,
    finite_points,
    given_size,
    given_text,
    validate_file,
)
from mobilesam.export.outlines import object_outlines
from mobilesam.export.pictures import mask_png
from mobilesam.image_file import BoundedFile
from mobilesam.masks import CocoRle, Mask, rle_from_crop, rle_union
from mobilesam.objects import PhotoObject
from mobilesam.polygons import count_parts_and_holes, rle_from_centres

_CIRCLE_VERTICES = 360


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


class _LabelmeFile(BaseModel):
    shapes: Items[Any]
    imagePath: Any = None  # noqa: N815
    imageHeight: Any = None  # noqa: N815
    imageWidth: Any = None  # noqa: N815
    sha256: Any = None


def labelme_photo(document: object, stem: str, limit: RowLimit) -> PhotoAnnotations:
    """The photo of a labelme file and its polygons, rectangles, circles and masks.

    Shapes with the same label and group id are parts of one object, as in labelme. `document` is
    parsed JSON, `stem` the file's name without extension.

    Raises:
        AnnotationError: the document has no list of shapes.
    """
    content = validate_file(_LabelmeFile, document, "labelme")
    groups: dict[str, list[JsonObject]] = {}
    for index, shape in enumerate(limit.first(content.shapes)):
        row = shape if isinstance(shape, dict) else {}
        group_id = row.get("group_id")
        group = (row.get("label"), group_id) if type(group_id) is int else index
        groups.setdefault(repr(group), []).append(row)  # by repr, as ids of COCO
    return PhotoAnnotations(
        given_text(content.imagePath),
        [
            Shape(rows[0].get("label"), partial(_union, rows), rows[0].get("predicted_iou"))
            for rows in groups.values()
        ],
        given_size(content.imageHeight, content.imageWidth),
        given_text(content.sha256),
        stem,
    )


def _union(rows: Sequence[JsonObject], reader: ObjectReader) -> CocoRle:
    """The mask of an object; of several parts, those that cannot be read are left out."""
    return rle_union(reader.parts(partial(_shape_rle, reader), rows))


def _shape_rle(reader: ObjectReader, row: JsonObject) -> CocoRle:
    kind = row.get("shape_type") or "polygon"
    if kind in ("point", "points", "line", "linestrip"):
        raise SkippedError("points" if kind in ("point", "points") else "lines")
    points = row.get("points")
    if not isinstance(points, list) or not all(isinstance(p, list) and len(p) == 2 for p in points):
        raise SkippedError("shapes with damaged coordinates")
    xy = finite_points([number for point in points for number in point])
    match kind, len(xy):
        case "mask", 2:
            return _mask_in_box(row.get("mask"), xy, reader)
        case "rectangle", (2 | 4):  # newer releases write all corners
            (x0, y0), (x1, y1) = corners = xy.min(axis=0), xy.max(axis=0)
            if np.isin(xy, corners).all():  # it is not rotated
                xy = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
        case "circle", 2:
            xy = _circle(xy[0], float(np.hypot(*(xy[1] - xy[0]))))
        case (("rectangle" | "circle" | "mask"), _):
            raise SkippedError("shapes with another number of points than their type has")
        case (("polygon" | "oriented_rectangle" | "rotation"), _):
            pass
        case _:
            raise SkippedError("shapes of an unknown type")
    return rle_from_centres(reader.polygon(xy.ravel()), reader.size_hw)


def _circle(centre_xy: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """(N, 2) XY; the second point in the file is on the circle."""
    angles = np.linspace(0, 2 * np.pi, _CIRCLE_VERTICES, endpoint=False)
    return centre_xy + 0.5 + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _mask_in_box(png: object, corners: NDArray[np.float64], reader: ObjectReader) -> CocoRle:
    """The pixels of a PNG in base64, which fills the box from one corner to the other."""
    height, width = reader.size_hw
    near = np.clip(corners, -FAR_PX, FAR_PX)
    (x0, y0), (x1, y1) = np.floor([near.min(axis=0), near.max(axis=0)]).astype(int).tolist()
    if x1 < 0 or y1 < 0 or x0 >= width or y0 >= height:
        raise SkippedError("shapes outside the photo")
    size_hw = (y1 - y0 + 1, x1 - x0 + 1)
    reader.charge_pixels(size_hw)
    left, top = max(x0, 0), max(y0, 0)
    box = _png_mask(png, size_hw)[top - y0 : height - y0, left - x0 : width - x0]
    return rle_from_crop((left, top), box, reader.size_hw)


def _png_mask(text: object, size_hw: tuple[int, ...]) -> Mask:
    """Decodes the (H, W) bool mask of a PNG in base64; every pixel that is not black is set."""
    try:
        data = base64.b64decode(text if isinstance(text, str) else "", validate=True)
        file = BoundedFile(data)
        with Image.open(file, formats=("PNG",)) as image:
            if (image.height, image.width) == size_hw and len(image.getbands()) == 1:
                file.begin_pixels()
                return np.asarray(image).astype(bool)
    except Exception as error:  # Pillow's decoders raise almost anything for damaged files
        raise SkippedError("damaged masks") from error
    raise SkippedError("masks of another size than their box")
