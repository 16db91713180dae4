"""COCO instance annotations of one or more photos.

Coordinates are pixels of the upright photo. `torchvision.datasets.CocoDetection` ignores the EXIF
orientation of photos: apply `PIL.ImageOps.exif_transpose` after loading, or save them upright.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field

from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import AnnotationError, PromptError
from mobilesam.export.classes import ClassList
from mobilesam.export.documents import Items, JsonObject, NamedMask, ObjectReader, validate_file
from mobilesam.export.outlines import object_outlines
from mobilesam.masks import Mask, mask_from_coco_rle, mask_to_json
from mobilesam.objects import PhotoObject
from mobilesam.polygons import fill_edges
from mobilesam.schemas import Number, WholeNumber, expected


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


CocoId = Annotated[WholeNumber | str, expected("an id: a whole number or text")]
_Polygons = Annotated[list[list[Any]], Field(min_length=1, fail_fast=True)]
Segmentation = Annotated[
    _Polygons | JsonObject, expected("a list of polygons or a run-length mask")
]
"""The schema of a mask in a COCO file, for `segmentation_mask`."""


class _Image(BaseModel):
    id: CocoId
    file_name: str | None = None
    height: Number | None = None
    width: Number | None = None


class _Category(BaseModel):
    id: CocoId
    name: str


class _Annotation(BaseModel):
    image_id: CocoId
    category_id: CocoId
    segmentation: Segmentation
    predicted_iou: Number | None = None


class _CocoFile(BaseModel):
    images: Items[_Image]
    annotations: Items[_Annotation]
    categories: Items[_Category]


def read_coco(
    document: object,
    size_hw: tuple[int, int],
    file_name: str | None = None,
    budget: CpuBudget | None = None,
) -> list[PhotoObject]:
    """Reads the objects of one photo of size (H, W) from a COCO file of any program.

    `document` is parsed JSON, with compressed or uncompressed RLEs or polygons. `file_name` is the
    photo's name in the file, needed if it has several photos; `budget`: see `PhotoObject`.

    Raises:
        AnnotationError: the document cannot be read or is for another photo.
        PromptError: the budget is spent.
    """
    content = validate_file(_CocoFile, document, "COCO")
    images = content.images
    if file_name is not None:
        images = [image for image in images if image.file_name == file_name]
    if not images:
        raise AnnotationError("This file has no annotations for this photo.")
    if len(images) > 1:
        raise AnnotationError("This file has several photos, and the photo's name is not unique.")
    reader = ObjectReader(size_hw, budget)
    reader.check_photo_size(images[0].height, images[0].width)
    # By repr, because an attacker can choose integers whose hashes all collide.
    names = {repr(category.id): category.name for category in content.categories}
    annotations = [item for item in content.annotations if item.image_id == images[0].id]
    found = (_named_mask(annotation, names, reader) for annotation in annotations)
    return reader.objects(found, len(annotations))


def _named_mask(
    annotation: _Annotation, names: Mapping[str, str], reader: ObjectReader
) -> NamedMask:
    category = repr(annotation.category_id)
    if category not in names:
        raise AnnotationError("An annotation's category is not among the file's categories.")
    mask = segmentation_mask(annotation.segmentation, reader)
    return names[category], mask, annotation.predicted_iou


def segmentation_mask(segmentation: list[list[Any]] | JsonObject, reader: ObjectReader) -> Mask:
    """The (H, W) mask of a `Segmentation`, for a photo of the reader's size.

    Raises:
        AnnotationError: the polygons or the RLE are damaged or do not fit the photo.
    """
    if isinstance(segmentation, dict):
        return mask_from_coco_rle(segmentation, reader.size_hw)
    return fill_edges([reader.polygon(polygon) for polygon in segmentation], reader.size_hw)
