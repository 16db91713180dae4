"""Segments a folder of photos: reads the prompts, and answers those that are not in the journal.

A `Runner` computes: `LocalRunner` here, `ray_runner.RayRunner` on a cluster.
"""

import codecs
import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel
from tqdm import tqdm

from mobilesam import __version__
from mobilesam.cleanup import clean_mask
from mobilesam.cli.journal import Journal
from mobilesam.cli.output import UsageError, show
from mobilesam.cli.photo_folder import PhotoFolder
from mobilesam.errors import MobileSamError, PromptError
from mobilesam.export.classes import DEFAULT_NAME
from mobilesam.export.coco import CocoPhoto, coco_annotation
from mobilesam.objects import PhotoObject, checked_name
from mobilesam.prompts import Prompt, prompt_from_rows
from mobilesam.schemas import explained

if TYPE_CHECKING:
    from mobilesam.embedding import ImageEmbedding
    from mobilesam.model.weights import Weights
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


def read_prompts(path: Path, folder: PhotoFolder) -> tuple[dict[str, list[BatchPrompt]], list[str]]:
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


def _photo_in(folder: PhotoFolder, file: str) -> str:
    """A path with "/" for the backslash of Windows, which elsewhere can be part of a name."""
    slashed = file.replace("\\", "/")
    if slashed != file and folder.contains(slashed) and not folder.contains(file):
        return str(PurePosixPath(slashed))
    return str(PurePosixPath(file))


@dataclass(frozen=True)
class PhotoJob:
    """A photo to answer.

    Attributes:
        key: a digest of everything that its record depends on.
        file: relative to the folder of the photos.
        prompts: in the order of their lines.
    """

    key: str
    file: str
    prompts: list[BatchPrompt]


Record: TypeAlias = dict[str, Any]
"""The `size` of a photo, (H, W), and its `answers`: for each prompt a COCO annotation or
{"error": sentence}."""


class Runner(Protocol):
    """Computes the records of photos, here or elsewhere.

    Attributes:
        checkpoint: digest of the weights in use.
        weights: the weights in use.
    """

    checkpoint: str
    weights: "Weights"

    def run(
        self, jobs: Iterable[PhotoJob]
    ) -> Generator[tuple[PhotoJob, Record | MobileSamError], None, None]:
        """Yields every job, in any order, with its record or why it failed."""


class LocalRunner:
    """Computes in this process, in the order of the photos."""

    def __init__(self, segmenter: "Segmenter", folder: PhotoFolder, clean: bool = False) -> None:
        """`clean` is for `mobilesam.cleanup.clean_mask`."""
        self.checkpoint = segmenter.checkpoint
        self.weights = segmenter.weights
        self._segmenter = segmenter
        self._folder = folder
        self._clean = clean

    def run(
        self, jobs: Iterable[PhotoJob]
    ) -> Generator[tuple[PhotoJob, Record | MobileSamError], None, None]:
        """See `Runner`; each photo is encoded once."""
        return in_order(self._answer, jobs, self._segmenter.photos_at_once)

    def _answer(self, job: PhotoJob) -> tuple[PhotoJob, Record | MobileSamError]:
        limits = self._segmenter.settings.limits
        try:
            with self._folder.local_path(job.file, limits.max_bytes) as path:
                embedding = self._segmenter.encode(path)
            answers = [self._annotation(embedding, item) for item in job.prompts]
        except MobileSamError as error:
            return job, error
        return job, {"size": list(embedding.original_size), "answers": answers}

    def _annotation(self, embedding: "ImageEmbedding", item: BatchPrompt) -> dict[str, Any]:
        try:
            prediction = self._segmenter.predict(embedding, item.prompt)
            best = prediction.best
            iou = float(prediction.iou_predictions[best])
            mask = prediction.mask(best)
            if self._clean:
                mask = clean_mask(mask, item.prompt)
            return coco_annotation(PhotoObject(item.name, mask, iou))
        except PromptError as error:  # the prompt is outside the photo, or the mask is empty
            return {"error": str(error)}


def run_batch(
    runner: Runner,
    folder: PhotoFolder,
    prompts_by_file: dict[str, list[BatchPrompt]],
    journal: Journal,
    progress: tqdm,
    clean: bool = False,
) -> tuple[list[CocoPhoto], int]:
    """Answers all prompts; photos that are in the journal are not computed again.

    `clean` is that of the runner. Returns the photos in the order of the prompts, and the number of
    failures, which are reported.
    """
    photos: dict[str, CocoPhoto] = {}
    failures = 0

    def finish(job: PhotoJob, outcome: Record | MobileSamError) -> None:
        nonlocal failures
        if isinstance(outcome, MobileSamError):
            show(f"{job.file}: {outcome}")
            failures += 1
        else:
            photos[job.file], errors = _photo(job, outcome)
            failures += errors
        progress.update()

    def job_of(item: tuple[str, list[BatchPrompt]]) -> PhotoJob:
        file, prompts = item
        return PhotoJob(_key(runner.checkpoint, folder, file, prompts, clean), file, prompts)

    def unfinished() -> Iterator[PhotoJob]:
        for job in in_order(job_of, prompts_by_file.items(), folder.lookups_at_once):
            if job.key in journal.records:
                finish(job, journal.records[job.key])
            else:
                yield job

    with closing(runner.run(unfinished())) as outcomes:
        for job, outcome in outcomes:
            if not isinstance(outcome, MobileSamError):
                journal.append(job.key, outcome)
            finish(job, outcome)
    return [photos[file] for file in prompts_by_file if file in photos], failures


def _photo(job: PhotoJob, record: Record) -> tuple[CocoPhoto, int]:
    """A photo with its annotations, and the number of its prompts that failed."""
    annotations = []
    for prompt, answer in zip(job.prompts, record["answers"], strict=True):
        if "error" in answer:
            show(f"{job.file}, line {prompt.line}: {answer['error']}")
        else:
            annotations.append(answer)
    height, width = record["size"]
    photo = CocoPhoto(job.file, (height, width), tuple(annotations))
    return photo, len(job.prompts) - len(annotations)


def in_order(work: Callable[[T], R], items: Iterable[T], at_once: int) -> Generator[R, None, None]:
    """Calls a function in `at_once` threads, and yields its results in the order of the items.

    One thread waits until its result is used; several begin with the next items meanwhile.
    """
    with ThreadPoolExecutor(at_once) as threads:
        begun: deque[Future[R]] = deque()
        for item in items:
            begun.append(threads.submit(work, item))
            if len(begun) == 2 * at_once - 1:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


def _key(
    checkpoint: str, folder: PhotoFolder, file: str, prompts: list[BatchPrompt], clean: bool
) -> str:
    """A digest of everything that a photo's record depends on."""
    questions = [(item.prompt, item.name) for item in prompts]
    parts = [__version__, checkpoint, file, folder.version(file), questions, clean]
    return hashlib.sha256(ascii(parts).encode()).hexdigest()
