"""COCO instance annotations, for one photo or for a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import AnnotationError, PromptError
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
from mobilesam.masks import Mask, mask_area, mask_bbox_xywh, mask_from_coco_rle, mask_to_coco_rle
from mobilesam.objects import PackedObjects, PhotoObject, check_sizes
from mobilesam.polygons import fill_edges, mask_outlines

Segmentation = Literal["rle", "polygons"]


@dataclass(frozen=True)
class CocoAnnotation:
    """What COCO keeps of one object, without its mask; small beside it.

    Attributes:
        category: the object's name.
        fields: segmentation, area, bbox, iscrowd, further figures, and predicted_iou where there is
            one; it is there as score too, as COCO's evaluation calls it.
    """

    category: str
    fields: Fields


@dataclass(frozen=True)
class CocoPhoto:
    """A photo and its annotations.

    Attributes:
        file_name: of the photo, as COCO shall name it.
        size_hw: (H, W) in pixels.
        annotations: of its objects.
    """

    file_name: str
    size_hw: tuple[int, int]
    annotations: tuple[CocoAnnotation, ...]


def coco_annotation(
    item: PhotoObject, segmentation: Segmentation = "rle", **figures: float
) -> CocoAnnotation:
    """The object as COCO describes it.

    Args:
        item: its mask not empty.
        segmentation: `"rle"`, compressed and exact; or `"polygons"`, one a part with holes bridged,
            exact too as pycocotools fills them.
        **figures: further ones to keep, such as stability_score.

    Raises:
        PromptError: the mask is empty, or segmentation is neither word.
    """
    if segmentation not in get_args(Segmentation):
        raise PromptError('segmentation is "rle" or "polygons".')
    if not item.mask.any():
        raise PromptError(f'The mask of "{item.name}" is empty, so there is nothing to annotate.')
    fields: Fields = {
        "segmentation": mask_to_coco_rle(item.mask)
        if segmentation == "rle"
        else [outline.ravel().tolist() for outline in mask_outlines(item.mask, "edges")],
        "area": mask_area(item.mask),
        "bbox": list(mask_bbox_xywh(item.mask)),
        "iscrowd": 0,
    }
    if item.predicted_iou is not None:
        fields["predicted_iou"] = fields["score"] = item.predicted_iou
    return CocoAnnotation(item.name, fields | figures)


def coco_photo(
    file_name: str,
    size_hw: tuple[int, int],
    objects: Sequence[PhotoObject],
    segmentation: Segmentation = "rle",
) -> CocoPhoto:
    """The photo with an annotation for every object whose mask is not empty.

    Raises:
        PromptError: a mask is not of the photo's size, or segmentation is neither word.
    """
    check_sizes(objects, size_hw)
    annotations = tuple(coco_annotation(item, segmentation) for item in objects if item.mask.any())
    return CocoPhoto(file_name, size_hw, annotations)


def coco_document(photos: Iterable[CocoPhoto]) -> Fields:
    """All photos in one COCO file, ready for json.dump.

    Ids count from 1 in order; every distinct name is a category. Photos are taken one by one, so
    a generator may make them as it goes and hold one photo's masks at a time.
    """
    images: list[Fields] = []
    annotations: list[Fields] = []
    category_ids: dict[str, int] = {}
    for image_id, photo in enumerate(photos, start=1):
        height, width = photo.size_hw
        images.append(
            {"id": image_id, "file_name": photo.file_name, "height": height, "width": width}
        )
        for annotation in photo.annotations:
            category_id = category_ids.setdefault(annotation.category, len(category_ids) + 1)
            ids = {"id": len(annotations) + 1, "image_id": image_id, "category_id": category_id}
            annotations.append(ids | annotation.fields)
    return {
        "info": {"description": "Made with the MobileSAM demo"},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": category_id, "name": name, "supercategory": ""}
            for name, category_id in category_ids.items()
        ],
    }


def read_coco(
    document: object,
    size_hw: tuple[int, int],
    file_name: str | None = None,
    effort: CpuBudget | None = None,
) -> PackedObjects:
    """The objects of one photo in a COCO file, ours or another program's.

    Args:
        document: parsed JSON, with compressed or uncompressed RLE or polygons.
        size_hw: (H, W) of the photo.
        file_name: which photo, where the file has several.
        effort: bounds what is done.

    Raises:
        PromptError: the effort is spent.
        AnnotationError: it is no such file, is for a photo of another size or with another name,
            is damaged, or asks for more than can be read.
    """
    content = fields_of(document, "A COCO file")
    image_id = _image_id(content, size_hw, file_name)
    names = {
        repr(_id_of(category, "A category")): category.get("name")
        for category in items_of(content.get("categories"), "The categories of a COCO file")
    }
    annotations = [
        annotation
        for annotation in items_of(content.get("annotations"), "The annotations of a COCO file")
        if fields_of(annotation, "An annotation").get("image_id") == image_id
    ]
    check_room(len(annotations), size_hw)
    return PackedObjects(_read(annotations, names, size_hw), effort)


def _read(
    annotations: list[Fields], names: Mapping[str, Any], size_hw: tuple[int, int]
) -> Iterator[PhotoObject]:
    spent_px = 0.0
    for annotation in annotations:
        # By their text: whole numbers can be chosen so that a dict of them takes minutes.
        category = repr(annotation.get("category_id"))
        if category not in names:
            raise AnnotationError("An annotation's category is not among the file's categories.")
        mask, spent_px = _mask(annotation.get("segmentation"), size_hw, spent_px)
        yield object_from_file(names[category], mask, annotation.get("predicted_iou"))


def _image_id(content: Fields, size_hw: tuple[int, int], file_name: str | None) -> int | str:
    images = [
        fields_of(image, "An image of a COCO file")
        for image in items_of(content.get("images"), "The images of a COCO file")
    ]
    if file_name is not None:
        images = [image for image in images if image.get("file_name") == file_name]
    if not images:
        raise AnnotationError("The file has no annotations for this photo.")
    if len(images) > 1:
        raise AnnotationError("The file is for several photos; say which of them this one is.")
    check_same_size(images[0].get("height"), images[0].get("width"), size_hw)
    return _id_of(images[0], "An image")


def _id_of(value: object, what: str) -> int | str:
    number = fields_of(value, what).get("id")
    if isinstance(number, (int, str)) and not isinstance(number, bool):
        return number
    raise AnnotationError(f"{what} of a COCO file needs an id.")


def _mask(segmentation: Any, size_hw: tuple[int, int], spent_px: float) -> tuple[Mask, float]:
    """The mask, and what the file's polygons have cost with it."""
    if not isinstance(segmentation, list):
        return mask_from_coco_rle(segmentation, size_hw), spent_px
    if not segmentation:
        raise AnnotationError("An annotation has no segmentation.")
    polygons = [polygon_xy(items_of(part, "A polygon"), size_hw) for part in segmentation]
    spent_px = spent_outline(polygons, spent_px)
    return fill_edges(polygons, size_hw), spent_px
