"""A folder of photos, each encoded once, into one COCO file; resumable."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilesam.cli.output import write_json
from mobilesam.cli.part import PartFile
from mobilesam.cli.questions import Question, Questions, path_inside
from mobilesam.cli.terminal import Counter
from mobilesam.errors import MobileSamError, PromptError
from mobilesam.export import CocoAnnotation, CocoPhoto, coco_annotation, coco_document
from mobilesam.objects import PhotoObject

if TYPE_CHECKING:
    from mobilesam.segmenter import Segmenter

_RECORD_VERSION = 1  # to be raised when the same question gets another record


@dataclass(frozen=True)
class BatchResult:
    """What came of a batch.

    Attributes:
        photos: how many are in the COCO file.
        annotations: how many masks.
        failures: how many photos and lines could not be used.
    """

    photos: int
    annotations: int
    failures: int


def run_batch(
    segmenter: Segmenter, folder: Path, questions: Questions, out: Path, counter: Counter
) -> BatchResult:
    """Answers all questions, keeping finished photos in a file beside `out` until it is complete.

    Args:
        segmenter: answers.
        folder: where the photos are.
        questions: of each photo.
        out: the COCO file; its order is that of the questions, however often the work was broken
            off.
        counter: shows how far it is and says what cannot be used.

    Raises:
        MobileSamError: a file cannot be written.
    """
    failures = len(questions.errors)
    for sentence in questions.errors:
        counter.say(sentence)
    photos = []
    root = folder.resolve()
    with PartFile(out.with_name(f"{out.name}.part")) as part:
        for number, (file, asked) in enumerate(questions.by_file.items(), start=1):
            try:
                key, record = _recall_or_answer(segmenter, root, file, asked, part)
            except MobileSamError as error:
                counter.say(f"{file}: {error}")
                failures += 1
            else:
                # Out of the try: where nothing can be written, the next photo is no better.
                if part.get(key) is None:
                    part.append(key, record)
                found = []
                for question, answer in zip(asked, record["answers"], strict=True):
                    if "error" in answer:
                        counter.say(f"{file}, line {question.line}: {answer['error']}")
                        failures += 1
                    else:
                        found.append(CocoAnnotation(**answer))
                height, width = record["size"]
                photos.append(CocoPhoto(file, (height, width), tuple(found)))
            counter.show(number)
        counter.close()
        write_json(out, coco_document(photos))
        part.remove()
    return BatchResult(len(photos), sum(len(photo.annotations) for photo in photos), failures)


def _recall_or_answer(
    segmenter: Segmenter, folder: Path, file: str, asked: list[Question], part: PartFile
) -> tuple[str, dict[str, Any]]:
    """The record of a photo and its key, from an earlier run or made now."""
    path = path_inside(folder, file)
    key = _key(segmenter.checkpoint, path, file, asked)
    record = part.get(key)
    return key, _answered(segmenter, path, asked) if record is None else record


def _key(checkpoint: str, path: Path, file: str, asked: list[Question]) -> str:
    """Digest of all that a photo's record depends on: weights, file and questions."""
    try:
        status = path.stat()
        version = [status.st_size, status.st_mtime_ns]
    except (OSError, ValueError):  # opening it will say what is wrong
        version = []
    prompts = [
        [question.prompt.point_coords, question.prompt.point_labels, question.prompt.box]
        for question in asked
    ]
    names = [question.name for question in asked]
    parts = [_RECORD_VERSION, checkpoint, file, version, prompts, names]
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()


def _answered(segmenter: Segmenter, path: Path, asked: list[Question]) -> dict[str, Any]:
    """The photo's size, and a CocoAnnotation's attributes or {"error": sentence} per question.

    Raises:
        ImageError: the photo cannot be used.
    """
    embedding = segmenter.encode(path)
    answers = []
    for question in asked:
        try:
            prediction = segmenter.predict(embedding, question.prompt)
            best = prediction.best
            iou = float(prediction.iou_predictions[best])
            found = PhotoObject(question.name, prediction.mask(best), iou)
            answers.append(asdict(coco_annotation(found)))
        except PromptError as error:  # the prompt is outside the photo, or the mask is empty
            answers.append({"error": str(error)})
    return {"size": list(embedding.original_size), "answers": answers}
