"""Segments a folder of photos; an interrupted batch resumes from its journal."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from mobilesam.cli.journal import Journal
from mobilesam.cli.messages import show
from mobilesam.cli.prompts_file import BatchPrompt, BatchPrompts, path_inside
from mobilesam.errors import MobileSamError, PromptError
from mobilesam.export import CocoPhoto, coco_annotation
from mobilesam.objects import PhotoObject

if TYPE_CHECKING:
    from mobilesam.segmenter import Segmenter

_RECORD_VERSION = 2  # increase it when the same prompts give another record


def run_batch(
    segmenter: Segmenter,
    folder: Path,
    prompts: BatchPrompts,
    journal: Journal,
    progress: tqdm[None],
) -> tuple[list[CocoPhoto], int]:
    """Answers all prompts; each photo is encoded once, and not at all if it is in the journal.

    Args:
        segmenter: the model.
        folder: contains the photos.
        prompts: of each photo.
        journal: stores finished photos.
        progress: advances with each photo.

    Returns:
        The photos in the order of the prompts, and the number of photos and lines that failed, each
        of which has been reported.

    Raises:
        MobileSamError: the journal cannot be written.
    """
    for sentence in prompts.errors:
        show(sentence)
    failures = len(prompts.errors)
    photos = []
    root = folder.resolve()
    for file, photo_prompts in prompts.by_file.items():
        try:
            key, record = _recall_or_answer(segmenter, root, file, photo_prompts, journal)
        except MobileSamError as error:
            show(f"{file}: {error}")
            failures += 1
        else:
            # Outside the try block: if writing fails for one photo, it fails for all.
            if journal.get(key) is None:
                journal.append(key, record)
            annotations = []
            for prompt, answer in zip(photo_prompts, record["answers"], strict=True):
                if "error" in answer:
                    show(f"{file}, line {prompt.line}: {answer['error']}")
                    failures += 1
                else:
                    annotations.append(answer)
            height, width = record["size"]
            photos.append(CocoPhoto(file, (height, width), tuple(annotations)))
        progress.update()
    return photos, failures


def _recall_or_answer(
    segmenter: Segmenter, folder: Path, file: str, prompts: list[BatchPrompt], journal: Journal
) -> tuple[str, dict[str, Any]]:
    """A photo's key and record, from the journal or computed."""
    path = path_inside(folder, file)
    key = _key(segmenter.checkpoint, path, file, prompts)
    record = journal.get(key)
    return key, _answer(segmenter, path, prompts) if record is None else record


def _key(checkpoint: str, path: Path, file: str, prompts: list[BatchPrompt]) -> str:
    """A digest of everything that a photo's record depends on: weights, file and prompts."""
    try:
        status = path.stat()
        version = [status.st_size, status.st_mtime_ns]
    except (OSError, ValueError):  # opening the photo will report it
        version = []
    questions = [
        [item.prompt.point_coords, item.prompt.point_labels, item.prompt.box] for item in prompts
    ]
    names = [item.name for item in prompts]
    parts = [_RECORD_VERSION, checkpoint, file, version, questions, names]
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()


def _answer(segmenter: Segmenter, path: Path, prompts: list[BatchPrompt]) -> dict[str, Any]:
    """The photo's size, and for each prompt a COCO annotation or {"error": sentence}.

    Raises:
        ImageError: the photo cannot be used.
    """
    embedding = segmenter.encode(path)
    answers = []
    for item in prompts:
        try:
            prediction = segmenter.predict(embedding, item.prompt)
            best = prediction.best
            iou = float(prediction.iou_predictions[best])
            found = PhotoObject(item.name, prediction.mask(best), iou)
            answers.append(coco_annotation(found))
        except PromptError as error:  # the prompt is outside the photo, or the mask is empty
            answers.append({"error": str(error)})
    return {"size": list(embedding.original_size), "answers": answers}
