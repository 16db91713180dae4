"""Objects that a page keeps: their histories become masks for a file, and files become objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import AnnotationError, PromptError
from mobilesam.export import parse_document, read_coco, read_labelme
from mobilesam.interactions import AddPoint, Answer, Interactions, SetBox, parse_interactions
from mobilesam.objects import PackedObjects, PhotoObject

MAX_KEPT = 100
MAX_PROMPTS = 2000
"""Clicks and boxes of all objects together; a decode each where the answers are forgotten."""
CPU_BUDGET_S = 10.0
"""Of the processor, for one file: a hundred objects of 12 megapixels, or their like."""


@dataclass(frozen=True)
class KeptObject:
    """What the page sends of an object.

    Attributes:
        name: anything; PhotoObject checks it.
        history: the visitor's clicks on it.
        predicted_iou: where it came from a file, what that said; PhotoObject checks it.
    """

    name: Any
    history: Interactions
    predicted_iou: Any


def kept_objects(raw: object, keep: Any, play: Callable[[Interactions], Answer]) -> PackedObjects:
    """The objects that the page sends, at the photo's own size.

    Args:
        raw: a list of {"name", "history"}, and "predicted_iou" where a file gave one.
        keep: who gets a pixel that several claim, see `mobilesam.objects.exclusive`; None: all.
        play: the answer to a history.

    Raises:
        PromptError: it is anything else, too many objects or clicks, or takes too long; so may
            whatever is done with the objects.
        AnnotationError: a mask of a history is not one of this photo.
    """
    kept = _parse_kept(raw)

    def made() -> Iterator[PhotoObject]:
        for item in kept:
            answer = play(item.history)
            iou = item.predicted_iou if answer.predicted_iou is None else answer.predicted_iou
            yield PhotoObject(item.name, answer.mask(), iou)

    packed = PackedObjects(made(), CpuBudget(CPU_BUDGET_S))
    return packed if keep is None else packed.exclusive(keep)


def read_masks(text: object, size_hw: tuple[int, int], file_name: str) -> PackedObjects:
    """The objects in a COCO or labelme file, those with an empty mask left out.

    Args:
        text: the file's JSON.
        size_hw: (H, W) of the photo.
        file_name: which photo, where a COCO file has several.

    Raises:
        AnnotationError: it is no such file, is not for this photo, or has more than 100 objects.
        PromptError: it takes too long; so may whatever is done with the objects.
    """
    effort = CpuBudget(CPU_BUDGET_S)
    document = parse_document(text) if isinstance(text, str) else None
    if not isinstance(document, dict) or not {"shapes", "annotations"} & document.keys():
        raise AnnotationError(
            "This file holds no masks that can be read; open a COCO or a labelme JSON."
        )
    if "shapes" in document:
        objects = read_labelme(document, size_hw, effort)
    else:
        images = document.get("images")
        several = isinstance(images, list) and len(images) > 1
        objects = read_coco(document, size_hw, file_name if several else None, effort)
    objects = objects.without_empty()
    if not objects:
        raise AnnotationError("There are no masks in this file.")
    if len(objects) > MAX_KEPT:
        raise AnnotationError(
            f"There are {len(objects)} objects in this file; the page takes {MAX_KEPT}."
        )
    return objects


def _parse_kept(raw: object) -> list[KeptObject]:
    if not isinstance(raw, list) or not raw:
        raise PromptError("There are no objects yet; keep one first.")
    if len(raw) > MAX_KEPT:
        raise PromptError(f"At most {MAX_KEPT} objects can be saved at once.")
    if not all(isinstance(item, Mapping) for item in raw):
        raise PromptError("An object is a name and a history.")
    kept = [
        KeptObject(
            item.get("name"), parse_interactions(item.get("history")), item.get("predicted_iou")
        )
        for item in raw
    ]
    if sum(isinstance(step, (AddPoint, SetBox)) for item in kept for step in item.history) > (
        MAX_PROMPTS
    ):
        raise PromptError("There are too many clicks for one file; delete some objects.")
    return kept
