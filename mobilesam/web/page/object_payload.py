"""The page's objects: their interactions become masks for a file, and a file becomes objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mobilesam
from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import AnnotationError, PromptError
from mobilesam.export import parse_document, read_coco, read_labelme
from mobilesam.interactions import AddPoint, SetBox, SetMask, parse_interactions
from mobilesam.masks import CocoRle, Mask, checked_rle
from mobilesam.objects import MAX_OBJECTS, PhotoObject, remove_overlaps

MAX_PROMPTS = 2000  # points and boxes of all objects together: each may need a decode
CPU_BUDGET_S = 30.0  # of CPU time for one file: enough for 500 clicked objects of 12 megapixels


def objects_to_export(
    segmenter: mobilesam.Segmenter, embedding: mobilesam.ImageEmbedding, raw: object, exclusive: Any
) -> list[PhotoObject]:
    """The objects that the page sends, with masks at the photo's own size.

    `raw` is JSON, a list of {"name", "colour", "interactions", "clean", "predicted_iou"}; for
    `clean` see `is_clean`, and the predicted IoU is for masks that were not decoded from clicks.
    `exclusive` is as for `remove_overlaps`, or None to keep overlaps.

    Raises:
        NotEncodedError: objects name crops that are not in the cache.
        MobileSamError: the JSON is invalid. It is also raised, now or when the objects are read, if
            the CPU budget is spent.
    """
    if not isinstance(raw, list) or not 0 < len(raw) <= MAX_OBJECTS:
        raise PromptError(f"Export between 1 and {MAX_OBJECTS} objects at a time.")
    if not all(isinstance(item, dict) for item in raw):
        raise PromptError("Each object must have a name and interactions.")
    interactions = [parse_interactions(item.get("interactions")) for item in raw]
    prompts = sum(isinstance(step, (AddPoint, SetBox)) for steps in interactions for step in steps)
    if prompts > MAX_PROMPTS:
        raise PromptError("There are too many clicks for one file. Delete some objects.")
    segmenter.require_crops(embedding, interactions)
    budget = CpuBudget(CPU_BUDGET_S)
    objects = []
    for item, steps in zip(raw, interactions, strict=True):
        mask: Mask | CocoRle
        clean, iou = is_clean(item), None
        match steps:
            case (SetMask(size_hw, counts),):  # needs no pixels
                rle = {"size": list(size_hw), "counts": counts}
                mask = checked_rle(rle, embedding.original_size)
            case _:
                answer = segmenter.answer(embedding, steps, budget)
                mask, iou = answer.mask(clean=clean), answer.predicted_iou
        iou = item.get("predicted_iou") if iou is None else iou
        objects.append(PhotoObject(item.get("name"), mask, iou, budget, item.get("colour")))
    return objects if exclusive is None else remove_overlaps(objects, exclusive)


def is_clean(query: Mapping[str, Any]) -> bool:
    """Whether specks and small holes go: the field `clean` of a query or an object, default true.

    Raises:
        PromptError: it is neither true nor false.
    """
    clean = query.get("clean", True)
    if not isinstance(clean, bool):
        raise PromptError("clean must be true or false.")
    return clean


def objects_from_file(text: object, size_hw: tuple[int, int], file_name: str) -> list[PhotoObject]:
    """The objects in a COCO or labelme file; those with an empty mask are left out.

    In a COCO file of several photos, `file_name` selects the photo.

    Raises:
        MobileSamError: the file cannot be used. It is also raised, now or when the objects are
            read, if the CPU budget is spent.
    """
    budget = CpuBudget(CPU_BUDGET_S)
    document = parse_document(text) if isinstance(text, str) else None
    if not isinstance(document, dict) or not {"shapes", "annotations"} & document.keys():
        raise AnnotationError("This file contains no masks. Open a COCO or labelme JSON file.")
    if "shapes" in document:
        objects = read_labelme(document, size_hw, budget)
    else:
        images = document.get("images")
        has_several = isinstance(images, list) and len(images) > 1
        objects = read_coco(document, size_hw, file_name if has_several else None, budget)
    objects = [item for item in objects if item.area]
    if not objects:
        raise AnnotationError("All masks in this file are empty.")
    if len(objects) > MAX_OBJECTS:
        raise AnnotationError(
            f"This file has {len(objects)} objects, but the page can hold only {MAX_OBJECTS}. "
            "Split the file."
        )
    return objects
