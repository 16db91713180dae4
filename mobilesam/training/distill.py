"""Distillation: a small model learns to answer as a large one, by a scheme of arXiv 2306.14289.

- decoupled: the image encoder learns the teacher's image embeddings; no mask is decoded.
- semi-coupled: the image encoder learns the teacher's masks through the teacher's frozen decoder.
- coupled: image encoder and mask decoder learn the teacher's masks together.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from torch import nn

from mobilesam import __version__
from mobilesam.errors import ImageError, MobileSamError
from mobilesam.model.checkpoint import checkpoint_bytes, checkpoint_digest
from mobilesam.training.agreement import Distillation, PhotoBatch, agreement
from mobilesam.training.embedding_store import EmbeddingStore, StoredPhoto, embed_photos
from mobilesam.training.loop import Figures, LoopOptions, Outcome, build_accelerator, train
from mobilesam.training.photos import epoch_order, find_photos, read_photo, split_photos
from mobilesam.training.run_files import RunFiles, check_new
from mobilesam.training.student import Scheme, build_student
from mobilesam.training.teacher import Teacher, load_teacher

_HELD_OUT, _MOST_HELD_OUT = 0.05, 100


@dataclass(frozen=True)
class DistillOptions:
    """What to distil.

    Attributes:
        teacher: a checkpoint of SAM or MobileSAM.
        photos: a folder.
        scheme: what the student learns from.
        out: the result, a .safetensors file.
        student: a checkpoint to start from, see `mobilesam.training.student.build_student`.
        size: side of the models' input in pixels; the demo's is 1024.
        batch: photos per batch. TinyViT normalises over the batch, so small ones learn badly.
        precision: `"no"` for float32, `"fp16"` or `"bf16"`.
        seed: of the random weights, the order of the photos and the prompts.
        embeddings: the folder of the teacher's embeddings; None for `teacher-embeddings` beside
            the result. It can be used again.
        held_out: photos to evaluate on; None for 5 %, at most 100.
        log: JSON lines; None for the result's name with the suffix .jsonl.
        loop: how long and how fast.
    """

    teacher: Path
    photos: Path
    scheme: Scheme
    out: Path
    student: Path | None = None
    size: int = 1024
    batch: int = 8
    precision: str = "no"
    seed: int = 0
    embeddings: Path | None = None
    held_out: int | None = None
    log: Path | None = None
    loop: LoopOptions = field(default_factory=LoopOptions)


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
        places = range(number * self.batch, (number + 1) * self.batch)
        return photo_batch([self._at(place) for place in places], self.store, number, random)

    def _at(self, place: int) -> StoredPhoto:
        epoch, index = divmod(place, len(self.photos))
        return self.photos[int(epoch_order(self.seed, epoch, len(self.photos))[index])]


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

    files = RunFiles(
        options.out,
        options.log or options.out.with_suffix(".jsonl"),
        _identity(options, teacher, learned, accelerator),
    )
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
        metadata = {name: str(value) for name, value in files.identity.items()}
        files.finish(checkpoint_bytes(student, {**metadata, "steps": str(outcome.steps)}))
        report(
            f"{options.out} is ready after {outcome.steps} steps of "
            f"{outcome.seconds_per_step:.2g} s. Open the demo with it: "
            f"MOBILESAM_WEIGHTS={options.out} make run"
        )
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
    photos: list[StoredPhoto],
    store: EmbeddingStore,
    number: int,
    random: np.random.Generator | None = None,
) -> PhotoBatch:
    """Reads photos and their embeddings; with `random` the photos are augmented."""
    pixels, input_sizes = [], []
    for photo in photos:
        try:
            read = read_photo(photo.path, store.size, random)
        except ImageError as error:  # it could be read before
            raise ImageError(f"{photo.path}: {error}") from error
        pixels.append(read.pixels)
        input_sizes.append(read.input_size)
    embeddings = np.stack([store.load(photo.digest) for photo in photos])
    return {
        "number": number,
        "pixels": torch.stack(pixels),
        "input_sizes": torch.tensor(input_sizes),
        "embeddings": torch.from_numpy(embeddings),
    }


def _identity(
    options: DistillOptions,
    teacher: Teacher,
    photos: list[StoredPhoto],
    accelerator: Accelerator,
) -> dict[str, Any]:
    """What the result depends on: a run is resumed only with the same."""
    digests = "".join(photo.digest for photo in photos)
    return {
        "scheme": options.scheme,
        "teacher": teacher.digest,
        "student": checkpoint_digest(options.student) if options.student else "random",
        "photos": hashlib.sha256(digests.encode()).hexdigest(),
        "size": options.size,
        "batch": options.batch,
        "precision": options.precision,
        "seed": options.seed,
        "processes": accelerator.num_processes,
        "version": __version__,
        **options.loop.identity,
    }
