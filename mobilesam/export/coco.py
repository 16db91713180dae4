"""COCO instance annotations of one or more photos.

Coordinates are pixels of the upright photo. `torchvision.datasets.CocoDetection` ignores the EXIF
orientation of photos: apply `PIL.ImageOps.exif_transpose` after loading, or save them upright.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel

from mobilesam.errors import PromptError
from mobilesam.export.classes import ClassList
from mobilesam.export.documents import (
    Items,
    JsonObject,
    ObjectReader,
    PhotoAnnotations,
    RowLimit,
    Shape,
    SkippedError,
    given_size,
    given_text,
    validate_file,
)
from mobilesam.export.outlines import object_outlines
from mobilesam.masks import CocoRle, checked_rle, mask_to_json
from mobilesam.objects import PhotoObject
from mobilesam.polygons import rle_from_edges


@dataclass(frozen=True)
class CocoPhoto:
    """A photo of size (H, W) with its annotations, as `coco_annotation` returns them."""

    file_name: str
    size_hw: tuple[int, int]
    annotations: tuple[JsonObject, ...]


def coco_annotation(
    item: PhotoObject, as_polygons: bool = False, tolerance: float = 0.0
) -> JsonObject:
    """Describes an object as a COCO annotation, with its name as `category` in place of ids.

    The mask becomes a compressed RLE or one polygon per part, with holes connected by bridges;
    pycocotools decodes both to exactly the mask, unless polygons are simplified by `tolerance`
    pixels. A predicted IoU is stored as predicted_iou and as score, the name that COCO's evaluation
    uses. PromptError if the mask is empty.
    """
    if not item.area:
        raise PromptError(f'The mask of "{item.name}" is empty, so there is nothing to annotate.')
    fields = mask_to_json(item.rle, iscrowd=0)
    annotation = {"category": item.name, "segmentation": fields.pop("rle"), **fields}
    if as_polygons:
        outlines = object_outlines(item, "edges", tolerance)
        annotation["segmentation"] = [outline.ravel().tolist() for outline in outlines]
    if item.predicted_iou is not None:
        annotation["predicted_iou"] = annotation["score"] = item.predicted_iou
    return annotation


def coco_document(photos: Iterable[CocoPhoto], classes: ClassList | None = None) -> JsonObject:
    """Combines photos into a COCO document, ready for json.dump.

    Ids start at 1, in order. The categories are `classes`, and names that are not among these are
    appended to them. See the module about rotated photos.
    """
    classes = ClassList() if classes is None else classes
    images: list[JsonObject] = []
    annotations: list[JsonObject] = []
    for image_id, photo in enumerate(photos, start=1):
        images.append(coco_image(image_id, photo.file_name, photo.size_hw))
        for annotation in photo.annotations:
            ids = {"id": len(annotations) + 1, "image_id": image_id}
            annotations.append(ids | with_category_id(annotation, classes))
    return {
        **COCO_HEADER,
        "images": images,
        "annotations": annotations,
        "categories": coco_categories(classes),
    }


COCO_HEADER: JsonObject = {"info": {"description": "Made with the MobileSAM demo"}, "licenses": []}


def coco_image(image_id: int, file_name: str, size_hw: tuple[int, int]) -> JsonObject:
    """A photo of size (H, W) in a COCO document."""
    return {"id": image_id, "file_name": file_name, "height": size_hw[0], "width": size_hw[1]}


def coco_categories(classes: ClassList) -> list[JsonObject]:
    """The categories of a COCO document."""
    return [
        {"id": category_id, "name": name, "supercategory": ""}
        for category_id, name in enumerate(classes.names, start=1)
    ]


def with_category_id(annotation: JsonObject, classes: ClassList) -> JsonObject:
    """A `coco_annotation` with its `category_id` in place of the name."""
    fields = dict(annotation)
    return {"category_id": classes.id_of(fields.pop("category")), **fields}


class _CocoFile(BaseModel):
    images: Items[Any]
    annotations: Items[Any]
    categories: Items[Any] = []


def coco_photos(document: object, skipped: Counter[str], limit: RowLimit) -> list[PhotoAnnotations]:
    """The photos in a COCO file of any program, and their annotations.

    `document` is parsed JSON, with compressed or uncompressed RLEs or polygons. What belongs to no
    photo is counted in `skipped`.

    Raises:
        AnnotationError: the document has no lists of images and annotations.
    """
    content = validate_file(_CocoFile, document, "COCO")
    names = {
        _key(row.get("id")): row.get("name") for row in content.categories if isinstance(row, dict)
    }
    images = limit.first(content.images, "photos beyond the limit")
    shapes: dict[str, list[Shape]] = {
        _key(row.get("id")): [] for row in images if isinstance(row, dict)
    }
    for row in limit.first(content.annotations):
        image = _key(row.get("image_id")) if isinstance(row, dict) else ""
        if image not in shapes:
            skipped["annotations of no photo in the file"] += 1
            continue
        category = row.get("category_id")
        name = names.get(_key(category), f"class {_key(category)}")
        draw = partial(_annotation_rle, row)
        shapes[image].append(Shape(name, draw, row.get("predicted_iou")))
    return [
        PhotoAnnotations(
            given_text(row.get("file_name")),
            shapes.pop(_key(row.get("id"))),
            given_size(row.get("height"), row.get("width")),
            given_text(row.get("sha256")),
        )
        for row in images
        if isinstance(row, dict) and _key(row.get("id")) in shapes
    ]


def _key(coco_id: object) -> str:
    """An id as text, because an attacker can choose integers whose hashes all collide."""
    return repr(coco_id) if type(coco_id) in (int, str) else ""


def _annotation_rle(annotation: JsonObject, reader: ObjectReader) -> CocoRle:
    segmentation = annotation.get("segmentation")
    if not segmentation:
        has_box = annotation.get("bbox")
        raise SkippedError("boxes without a mask" if has_box else "objects without a mask")
    return segmentation_rle(segmentation, reader)


def segmentation_rle(segmentation: object, reader: ObjectReader) -> CocoRle:
    """The mask of a `segmentation` in a COCO file, for a photo of the reader's size.

    Of several polygons, those that cannot be read are left out.

    Raises:
        AnnotationError: no polygon can be read, the RLE is damaged or of another size, or the
            reader's budget is spent.
    """
    if isinstance(segmentation, dict):
        if segmentation.get("size") != list(reader.size_hw):
            raise SkippedError("masks of another size")
        return checked_rle(segmentation, reader.size_hw)
    if not isinstance(segmentation, list) or not segmentation:
        raise SkippedError("objects without a mask")
    return rle_from_edges(reader.parts(reader.polygon, segmentation), reader.size_hw)
