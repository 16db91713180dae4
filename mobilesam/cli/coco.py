"""Masks as a COCO document: the one place of the terminal that knows the format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from mobilesam.masks import Mask, mask_area, mask_bbox_xywh, mask_to_coco_rle

Annotation: TypeAlias = dict[str, Any]

DEFAULT_NAME = "object"


@dataclass(frozen=True)
class PhotoEntry:
    """A photo and what was found in it.

    Attributes:
        file_name: as the document shall name it.
        size_hw: (H, W) of the upright photo.
        annotations: what `annotation` made.
    """

    file_name: str
    size_hw: tuple[int, int]
    annotations: list[Annotation]


def annotation(
    mask: Mask, predicted_iou: float, name: str = DEFAULT_NAME, **more: float
) -> Annotation:
    """One mask, ready for JSON.

    Args:
        mask: (H, W) bool at the photo's own size.
        predicted_iou: the decoder's own estimate; COCO's tools know it as `score`.
        name: of the category.
        **more: further figures to keep.
    """
    return {
        "name": name,
        "segmentation": mask_to_coco_rle(mask),
        "bbox": list(mask_bbox_xywh(mask)),
        "area": mask_area(mask),
        "iscrowd": 0,
        "predicted_iou": predicted_iou,
        "score": predicted_iou,
        **more,
    }


def document(photos: Iterable[PhotoEntry]) -> dict[str, Any]:
    """COCO's images, annotations and categories, all numbered from 1 in the order given."""
    images: list[dict[str, Any]] = []
    annotations: list[Annotation] = []
    categories: dict[str, int] = {}
    for photo in photos:
        height, width = photo.size_hw
        image = {"file_name": photo.file_name, "width": width, "height": height}
        images.append({"id": len(images) + 1, **image})
        for found in photo.annotations:
            category = categories.setdefault(found["name"], len(categories) + 1)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": len(images),
                    "category_id": category,
                    **{key: value for key, value in found.items() if key != "name"},
                }
            )
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
    }
