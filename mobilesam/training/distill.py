"""Distillation: a small model learns to imitate a large one, by a scheme of arXiv 2306.14289.

- decoupled: the image encoder learns the teacher's image embeddings; no mask is decoded.
- semi-coupled: the image encoder learns the teacher's masks through the teacher's frozen decoder.
- coupled: image encoder and mask decoder learn the teacher's masks together.
"""

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import send_to_device
from torch import nn

from mobilesam.errors import ImageError, MobileSamError
from mobilesam.model.checkpoint import checkpoint_digest
from mobilesam.training.agreement import Distillation, PhotoBatch, agreement
from mobilesam.training.embedding_store import EmbeddingStore, StoredPhoto, embed_photos
from mobilesam.training.loop import build_accelerator, train
from mobilesam.training.options import TrainingOptions
from mobilesam.training.photos import find_photos, photos_of_batch, read_photo, split_photos
from mobilesam.training.run import Figures, Outcome, write_result
from mobilesam.training.run_files import RunFiles, check_new
from mobilesam.training.student import Scheme, build_student
from mobilesam.training.teacher import load_teacher

_HELD_OUT, _MOST_HELD_OUT = 0.05, 100


@dataclass(frozen=True, kw_only=True)
class DistillOptions(TrainingOptions):
    """What to distil. By default 5 % of the photos, at most 100, are held out.

    Attributes:
        teacher: a checkpoint of SAM or MobileSAM.
        scheme: what the student learns from.
        student: a checkpoint to start from, see `mobilesam.training.student.build_student`.
        batch: photos per batch. TinyViT normalises over the batch, so small ones learn badly.
    """

    teacher: Path
    scheme: Scheme
    student: Path | None = None
    batch: int = 8


@dataclass(frozen=True)
class PhotoBatches:
    """Batches of photos in a random order, which is another one in each epoch."""

    photos: tuple[StoredPhoto, ...]
    store: EmbeddingStore
    batch: int
    seed: int

    def __getitem__(self, number: int) -> PhotoBatch:
        """Batch `number`, with other light and noise than in the files; it is always the same."""
        random = np.random.default_rng((self.seed, number))
        photos = photos_of_batch(self.photos, number, self.batch, self.seed)
        return photo_batch(photos, self.store, number, random)


def distill(options: DistillOptions, report: Callable[[str], None], quiet: bool = False) -> Outcome:
    """Trains a student and writes it as a checkpoint that the demo loads.

    Args:
        options: what, from what, and how long.
        report: gets sentences about photos that are skipped, and about the progress.
        quiet: no progress bars.

    Raises:
        ImageError: there are no photos.
        WeightsError: a checkpoint cannot be used.
        MobileSamError: the result exists, a file cannot be written, see also
            `mobilesam.training.loop.train`. What is complete on disk is kept.
    """
    check_new(options.out)
    paths = find_photos(options.photos)
    accelerator = build_accelerator(options.precision, options.loop.accumulate)
    teacher = load_teacher(options.teacher, options.size)
    student = build_student(
        options.scheme, teacher.sam, options.size, options.seed, options.student
    )
    folder = options.embeddings or options.out.parent / "teacher-embeddings"
    store = EmbeddingStore(folder, teacher.digest, options.size)
    photos = embed_photos(paths, teacher.sam, store, accelerator, report, quiet)
    teacher.sam.image_encoder = nn.Identity()  # type: ignore[assignment]  # frees its memory
    learned, held_out = hold_out(photos, options.held_out, options.seed)
    if accelerator.is_main_process:
        report(
            f"Photos: {len(learned)} to learn from, {len(held_out)} to evaluate on, "
            f"{len(paths) - len(photos)} that cannot be read. The teacher is {teacher.layout}; its "
            f"embeddings are in {folder}."
        )

    def evaluate() -> Figures:
        batches = (photo_batch([photo], store, index) for index, photo in enumerate(held_out))
        on_device = (send_to_device(batch, accelerator.device) for batch in batches)
        return agreement(student, teacher.sam, on_device)

    digests = "".join(photo.digest for photo in learned)
    source = {
        "scheme": options.scheme,
        "teacher": teacher.digest,
        "student": checkpoint_digest(options.student) if options.student else "random",
        "photos": hashlib.sha256(digests.encode()).hexdigest(),
    }
    files = RunFiles.of(options, source, accelerator.num_processes)
    outcome = train(
        Distillation(options.scheme, student, teacher.sam, options.seed),
        student,
        PhotoBatches(tuple(learned), store, options.batch, options.seed),
        options.loop,
        files,
        accelerator,
        report,
        evaluate if held_out else None,
        quiet,
    )
    if accelerator.is_main_process:
        write_result(student, outcome, files, report)
    return outcome


def hold_out(
    photos: list[StoredPhoto], count: int | None, seed: int
) -> tuple[list[StoredPhoto], list[StoredPhoto]]:
    """Splits photos into those to learn from and those to evaluate on; copies count once.

    Raises:
        MobileSamError: no photo is left to learn from.
    """
    unique = list({photo.digest: photo for photo in photos}.values())
    if count is None:
        count = min(_MOST_HELD_OUT, math.ceil(_HELD_OUT * len(unique)), len(unique) - 1)
    if count >= len(unique):
        raise MobileSamError(
            f"--held-out {count} leaves no photo to learn from: there are {len(unique)}."
        )
    return split_photos(unique, count, seed)


def photo_batch(
    photos: Iterable[StoredPhoto],
    store: EmbeddingStore,
    number: int,
    random: np.random.Generator | None = None,
) -> PhotoBatch:
    """Reads photos and their embeddings; with `random` the photos are augmented."""
    pixels, input_sizes, embeddings = [], [], []
    for photo in photos:
        try:
            read = read_photo(photo.path, store.size, random)
        except ImageError as error:  # it could be read before
            raise ImageError(f"{photo.path}: {error}") from error
        pixels.append(read.pixels)
        input_sizes.append(read.input_size)
        embeddings.append(store.load(photo.digest))
    return {
        "number": number,
        "pixels": torch.stack(pixels),
        "input_sizes": torch.tensor(input_sizes),
        "embeddings": torch.from_numpy(np.stack(embeddings)),
    }
