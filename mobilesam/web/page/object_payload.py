"""The page's objects: their interactions become masks for a file, and a file becomes objects."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter

import mobilesam
from mobilesam.cpu_budget import CpuBudget
from mobilesam.errors import PromptError
from mobilesam.export import PhotoInfo, read_annotations
from mobilesam.interactions import AddPoint, SetBox, SetMask, parse_interactions
from mobilesam.masks import CocoRle, Mask, checked_rle
from mobilesam.objects import MAX_OBJECTS, PhotoObject, remove_overlaps
from mobilesam.schemas import validate
from mobilesam.web.server.replies import Reply

MAX_PROMPTS = 2000  # points and boxes of all objects together: each may need a decode
CPU_BUDGET_S = 30.0  # of CPU time for one file: enough for 500 clicked objects of 12 megapixels
IMPORT_BUDGET_S = 20.0  # of CPU time to read a file; objects beyond are skipped
MAX_IMPORT_PHOTOS = 1000
MAX_COUNTS_SHOWN = 200  # names or reasons in a reply, the most frequent ones

_Side = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


class _ImportPhoto(BaseModel):
    name: Annotated[str, Field(max_length=4096)]
    sha256: Annotated[str, Field(max_length=64)] | None = None
    width: _Side | None = None
    height: _Side | None = None


class _Import(BaseModel):
    name: Annotated[str, Field(max_length=4096)]
    photos: Annotated[list[_ImportPhoto], Field(max_length=MAX_IMPORT_PHOTOS)]
    assign: dict[str, Annotated[int, Field(strict=True)]] = {}


_IMPORT = TypeAdapter(_Import)


def objects_to_export(
    segmenter: mobilesam.Segmenter,
    embedding: mobilesam.ImageEmbedding,
    raw: object,
    exclusive: Any,
    default_name: str = "",
) -> list[PhotoObject]:
    """The objects that the page sends, with masks at the photo's own size.

    `raw` is JSON, a list of {"name", "colour", "interactions", "clean", "predicted_iou"}; for
    `clean` see `is_clean`, and the predicted IoU is for masks that were not decoded from clicks.
    `exclusive` is as for `remove_overlaps`, or None to keep overlaps. Blank names become the
    `default_name`.

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
        name = item.get("name")
        name = default_name if isinstance(name, str) and not name.strip() else name
        objects.append(PhotoObject(name, mask, iou, budget, item.get("colour")))
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


def imported_objects(data: bytes, query: Mapping[str, Any], max_pixels: int) -> Reply:
    """The objects of several photos in a file, as JSON for the page.

    `query` has the `name` of the file, the `photos`, {"name", "sha256", "width", "height"} each,
    and `assign`, the index of a photo by a name that an earlier reply had in `unmatched`. Photos of
    more than `max_pixels` are skipped. A single photo gets the objects of a single photo in the
    file, whatever that is called there.

    Returns `photos`, [{"index", "objects"}, ...], `unmatched`, [{"name", "count"}, ...], and
    `skipped`, [{"reason", "count"}, ...].

    Raises:
        MobileSamError: the query or the file cannot be used.
    """
    asked = validate(_IMPORT, query)
    photos = [
        PhotoInfo(
            photo.name,
            (photo.height, photo.width) if photo.height and photo.width else None,
            photo.sha256,
        )
        for photo in asked.photos
    ]
    budget = CpuBudget(IMPORT_BUDGET_S)
    read = functools.partial(
        read_annotations, data, asked.name, photos, budget=budget, max_pixels=max_pixels
    )
    imported = read(asked.assign)
    if len(photos) == 1 and not imported.objects and len(imported.unmatched) == 1:
        imported = read(dict.fromkeys(imported.unmatched, 0))  # the user chose it for this photo
    return {
        "photos": [
            {"index": index, "objects": _objects(objects)}
            for index, objects in imported.objects.items()
            if objects
        ],
        "unmatched": _counts("name", imported.unmatched),
        "skipped": _counts("reason", imported.skipped),
    }


def _objects(objects: Sequence[PhotoObject]) -> list[Reply]:
    return [
        {"name": item.name, "rle": item.rle, "predicted_iou": item.predicted_iou}
        for item in objects
    ]


def _counts(key: str, counts: Counter[str]) -> list[Reply]:
    return [{key: what, "count": count} for what, count in counts.most_common(MAX_COUNTS_SHOWN)]
