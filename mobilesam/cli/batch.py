"""Segments a folder of photos: reads the prompts, and answers those that are not in the journal."""

import codecs
import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel
from tqdm import tqdm

from mobilesam import __version__
from mobilesam.cleanup import clean_mask
from mobilesam.cli.journal import Journal
from mobilesam.cli.output import UsageError, show
from mobilesam.errors import MobileSamError, PromptError
from mobilesam.export.classes import DEFAULT_NAME
from mobilesam.export.coco import CocoPhoto, coco_annotation
from mobilesam.image_file import photo_path
from mobilesam.objects import PhotoObject, checked_name
from mobilesam.prompts import Prompt, prompt_from_rows
from mobilesam.schemas import explained

if TYPE_CHECKING:
    from mobilesam.segmenter import Segmenter

T = TypeVar("T")
R = TypeVar("R")

_BYTE_ORDER_MARKS = {  # in this order, as that of UTF-32 begins like that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


@dataclass(frozen=True)
class BatchPrompt:
    """The prompt and the category in one line of a prompts file; lines count from 1."""

    line: int
    prompt: Prompt
    name: str


class _Line(BaseModel, extra="forbid"):
    file: str
    points: Any = None  # `prompt_from_rows` validates points and box
    box: Any = None
    name: str = DEFAULT_NAME


def read_prompts(path: Path, folder: Path) -> tuple[dict[str, list[BatchPrompt]], list[str]]:
    """Reads a prompts file: JSON lines in UTF-8 or, with a byte-order mark, UTF-16 or UTF-32.

    None of them is trusted. Paths are relative to the folder of the photos, also those of Windows.
    Returns the prompts of each photo, in the order of the lines, and a sentence per invalid line.

    Raises:
        UsageError: the file cannot be read or is empty.
    """
    by_file: dict[str, list[BatchPrompt]] = {}
    errors = []
    try:
        lines = _as_utf8(path.read_bytes()).split(b"\n")
    except OSError as error:
        raise UsageError(f"The prompts {path} cannot be read: {error}.") from error
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        where = f"Line {number}"
        try:
            with explained(PromptError, "The line"):
                line = _Line.model_validate_json(text)
            file = _photo_in(folder, line.file)
            where = f"{file}, line {number}"
            prompt = prompt_from_rows(line.points, line.box)
            if prompt.is_empty:
                raise PromptError("Give at least one point or a box.")
            item = BatchPrompt(number, prompt, checked_name(line.name))
            by_file.setdefault(file, []).append(item)
        except MobileSamError as error:
            errors.append(f"{where}: {error}")
    if not by_file and not errors:
        raise UsageError(f"There are no prompts in {path}.")
    return by_file, errors


def _as_utf8(data: bytes) -> bytes:
    """Text as UTF-8 without a byte-order mark, which says how the file is encoded."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            return data.removeprefix(mark).decode(encoding, errors="replace").encode()
    return data.removeprefix(codecs.BOM_UTF8)


def _photo_in(folder: Path, file: str) -> str:
    """A path with "/" for the backslash of Windows, which elsewhere can be part of a name."""
    slashed = file.replace("\\", "/")
    with suppress(OSError, ValueError):  # too long, a NUL
        if (folder / slashed).exists() and not (folder / file).exists():
            return str(PurePosixPath(slashed))
    return str(PurePosixPath(file))


def run_batch(
    segmenter: "Segmenter",
    folder: Path,
    prompts_by_file: dict[str, list[BatchPrompt]],
    journal: Journal,
    progress: tqdm,
    clean: bool = False,
) -> tuple[list[CocoPhoto], int]:
    """Answers all prompts; each photo is encoded once, and not at all if it is in the journal.

    `clean` is for `mobilesam.cleanup.clean_mask`. Returns the photos in the order of the prompts,
    and the number of failures, which are reported.
    """
    root = folder.resolve()

    def answer(item: tuple[str, list[BatchPrompt]]) -> tuple[str, dict[str, Any]]:
        file, prompts = item
        path = photo_path(root, file)
        key = _key(segmenter.checkpoint, path, file, prompts, clean)
        return key, journal.records.get(key) or _record(segmenter, path, prompts, clean)

    photos, failures = [], 0
    work = _in_order(answer, prompts_by_file.items(), segmenter.photos_at_once)
    with closing(work) as answers:
        for (file, prompts), answered in zip(prompts_by_file.items(), answers, strict=True):
            try:
                key, record = answered.result()
            except MobileSamError as error:
                show(f"{file}: {error}")
                failures += 1
            else:
                # Outside the try block: if writing fails for one photo, it fails for all.
                if key not in journal.records:
                    journal.append(key, record)
                annotations = []
                for prompt, result in zip(prompts, record["answers"], strict=True):
                    if "error" in result:
                        show(f"{file}, line {prompt.line}: {result['error']}")
                        failures += 1
                    else:
                        annotations.append(result)
                height, width = record["size"]
                photos.append(CocoPhoto(file, (height, width), tuple(annotations)))
            progress.update()
    return photos, failures


def _in_order(
    work: Callable[[T], R], items: Iterable[T], at_once: int
) -> Generator[Future[R], None, None]:
    """Calls a function in `at_once` threads, and yields its results in the order of the items.

    One thread waits until its result is used; several begin with the next items meanwhile.
    """
    with ThreadPoolExecutor(at_once) as threads:
        begun: deque[Future[R]] = deque()
        for item in items:
            begun.append(threads.submit(work, item))
            if len(begun) == 2 * at_once - 1:
                yield begun.popleft()
        yield from begun


def _key(checkpoint: str, path: Path, file: str, prompts: list[BatchPrompt], clean: bool) -> str:
    """A digest of everything that a photo's record depends on."""
    try:
        status = path.stat()
        version = [status.st_size, status.st_mtime_ns]
    except (OSError, ValueError):  # opening the photo will report it
        version = []
    questions = [(item.prompt, item.name) for item in prompts]
    parts = [__version__, checkpoint, file, version, questions, clean]
    return hashlib.sha256(ascii(parts).encode()).hexdigest()


def _record(
    segmenter: "Segmenter", path: Path, prompts: list[BatchPrompt], clean: bool
) -> dict[str, Any]:
    """The photo's size, and for each prompt a COCO annotation or {"error": sentence}."""
    embedding = segmenter.encode(path)
    answers = []
    for item in prompts:
        try:
            prediction = segmenter.predict(embedding, item.prompt)
            best = prediction.best
            iou = float(prediction.iou_predictions[best])
            mask = prediction.mask(best)
            if clean:
                mask = clean_mask(mask, item.prompt)
            answers.append(coco_annotation(PhotoObject(item.name, mask, iou)))
        except PromptError as error:  # the prompt is outside the photo, or the mask is empty
            answers.append({"error": str(error)})
    return {"size": list(embedding.original_size), "answers": answers}
