"""Segments a folder of photos; an interrupted batch resumes from its journal."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from mobilesam.cli.journal import Journal
from mobilesam.cli.output import show
from mobilesam.cli.prompts_file import BatchPrompt, PromptsByFile, path_inside
from mobilesam.errors import MobileSamError, PromptError
from mobilesam.export import CocoPhoto, coco_annotation
from mobilesam.objects import PhotoObject

if TYPE_CHECKING:
    from mobilesam.segmenter import Segmenter


def run_batch(
    segmenter: Segmenter,
    folder: Path,
    prompts_by_file: PromptsByFile,
    journal: Journal,
    progress: tqdm[None],
) -> tuple[list[CocoPhoto], int]:
    """Answers all prompts; each photo is encoded once, and not at all if it is in the journal.

    Returns:
        The photos in the order of the prompts, and the number of photos and prompts that failed,
        each of which has been reported.

    Raises:
        MobileSamError: the journal cannot be written.
    """
    root = folder.resolve()
    photos, failures = [], 0
    for file, prompts in prompts_by_file.items():
        try:
            path = path_inside(root, file)
            key = _key(segmenter.checkpoint, path, file, prompts)
            record = journal.records.get(key) or _record(segmenter, path, prompts)
        except MobileSamError as error:
            show(f"{file}: {error}")
            failures += 1
        else:
            # Outside the try block: if writing fails for one photo, it fails for all.
            if key not in journal.records:
                journal.append(key, record)
            annotations = []
            for prompt, answer in zip(prompts, record["answers"], strict=True):
                if "error" in answer:
                    show(f"{file}, line {prompt.line}: {answer['error']}")
                    failures += 1
                else:
                    annotations.append(answer)
            height, width = record["size"]
            photos.append(CocoPhoto(file, (height, width), tuple(annotations)))
        progress.update()
    return photos, failures


def _key(checkpoint: str, path: Path, file: str, prompts: list[BatchPrompt]) -> str:
    """A digest of everything that a photo's record depends on: weights, file and prompts."""
    try:
        status = path.stat()
        version = [status.st_size, status.st_mtime_ns]
    except (OSError, ValueError):  # opening the photo will report it
        version = []
    questions = [
        [item.prompt.point_coords, item.prompt.point_labels, item.prompt.box, item.name]
        for item in prompts
    ]
    parts = [checkpoint, file, version, questions]
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()


def _record(segmenter: Segmenter, path: Path, prompts: list[BatchPrompt]) -> dict[str, Any]:
    """The photo's size, and for each prompt a COCO annotation or {"error": sentence}."""
    embedding = segmenter.encode(path)
    answers = []
    for item in prompts:
        try:
            prediction = segmenter.predict(embedding, item.prompt)
            best = prediction.best
            iou = float(prediction.iou_predictions[best])
            answers.append(coco_annotation(PhotoObject(item.name, prediction.mask(best), iou)))
        except PromptError as error:  # the prompt is outside the photo, or the mask is empty
            answers.append({"error": str(error)})
    return {"size": list(embedding.original_size), "answers": answers}
