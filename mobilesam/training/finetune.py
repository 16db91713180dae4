"""Fine-tuning on one's own annotations, with SAM's interactive objective.

By default only the prompt encoder and mask decoder learn, on image embeddings that are computed
once.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mobilesam.errors import AnnotationError, WeightsError
from mobilesam.images import scaled_size
from mobilesam.masks import mask_to_coco_rle, scaled_mask
from mobilesam.paint import logits_size
from mobilesam.training.annotations import AnnotatedPhoto, read_annotations
from mobilesam.training.embedding_store import EmbeddingStore, embed_photos
from mobilesam.training.evaluation import Embed, Figures, embed_with, evaluate
from mobilesam.training.loop import build_accelerator, train
from mobilesam.training.mask_objective import MaskBatches, MaskObjective
from mobilesam.training.options import SCORE, TrainingOptions
from mobilesam.training.photos import split_photos
from mobilesam.training.run import Outcome, write_result
from mobilesam.training.run_files import RunFiles, RunLog, check_new
from mobilesam.training.teacher import load_teacher

_HELD_OUT, _MOST_HELD_OUT = 0.2, 50
_SCORED_MASKS, _SCORED_CLICKS = 200, 3


@dataclass(frozen=True, kw_only=True)
class FinetuneOptions(TrainingOptions):
    """What to learn from. By default a fifth of the photos, at most 50, is held out.

    Attributes:
        annotations: one or more COCO files; `photos` is the folder that their file names refer to.
        weights: the checkpoint to start from, of MobileSAM.
        encoder: whether the image encoder learns, too.
    """

    annotations: tuple[Path, ...]
    weights: Path
    encoder: bool = False


@dataclass(frozen=True, eq=False)
class FinetuneOutcome:
    """What fine-tuning came to.

    Attributes:
        before: figures of the held-out photos with the weights at the start.
        after: the same with the result; empty in other processes than the main one.
        run: of the training loop.
    """

    before: Figures
    after: Figures
    run: Outcome


def finetune(
    options: FinetuneOptions, report: Callable[[str], None], quiet: bool = False
) -> FinetuneOutcome:
    """Trains a model on masks and writes it as a checkpoint that the demo loads.

    The held-out photos decide when to stop and which weights are the best, so the result is never
    worse than the start on them, and on other photos a little less good than on them.

    Args:
        options: from what, and how long.
        report: gets sentences about what is skipped, and about the progress.
        quiet: no progress bars.

    Raises:
        AnnotationError: there are too few photos with masks.
        WeightsError: the weights cannot be used.
        MobileSamError: the result exists, a file cannot be written, see also
            `mobilesam.training.loop.train`. What is complete on disk is kept.
    """
    check_new(options.out)
    accelerator = build_accelerator(options.precision, options.loop.accumulate)
    if not accelerator.is_main_process:
        report = _ignore
    photos = read_annotations(options.annotations, options.photos, options.size, report)
    learned, held_out = split_for_learning(photos, options.size, options.held_out, options.seed)
    start = load_teacher(options.weights, options.size)
    if start.layout != "MobileSAM":
        raise WeightsError(
            f"{options.weights.name} is a {start.layout}. Only MobileSAM can be fine-tuned here; "
            "`distill` can learn from this file as a teacher."
        )
    sam = start.sam.to(accelerator.device)
    store = EmbeddingStore(
        options.embeddings or options.out.parent / "embeddings", start.digest, options.size
    )
    embed = embed_with(sam)
    if not options.encoder:
        paths = [photo.path for photo in photos]
        embed_photos(paths, sam, store, accelerator, report, quiet)
        embed = _stored(store, accelerator.device)
    sam.prompt_encoder.requires_grad_(True)
    sam.mask_decoder.requires_grad_(True)
    sam.image_encoder.requires_grad_(options.encoder)

    def measure() -> Figures:
        return evaluate(sam, held_out, embed, quiet=quiet) if accelerator.is_main_process else {}

    scored = _few_masks(held_out)

    def score() -> Figures:
        figures = evaluate(sam, scored, embed, max_clicks=_SCORED_CLICKS, quiet=True)
        ious = {name: value for name, value in figures.items() if name.startswith("iou")}
        return {SCORE: float(np.mean(list(ious.values()))), **ious}

    count = sum(len(photo.rles) for photo in learned)
    report(
        f"Photos: {len(learned)} to learn from with {count} masks, {len(held_out)} to evaluate on."
    )
    source = {
        "weights": start.digest,
        "annotations": _digest(photos),
        "encoder": options.encoder,
        "held_out": options.held_out,
    }
    files = RunFiles.of(options, source, accelerator.num_processes)
    before = files.read_checkpoint().get("before") or measure()
    run = train(
        MaskObjective(sam, options.encoder, options.seed),
        sam,
        MaskBatches(tuple(learned), store, options.encoder, options.batch, options.seed),
        options.loop,
        replace(files, kept={"before": before}),
        accelerator,
        report,
        score,
        quiet,
    )
    sam.eval()
    outcome = FinetuneOutcome(before, measure(), run)
    if accelerator.is_main_process:
        with RunLog(files.log) as log:
            log.write({"before": outcome.before, "after": outcome.after})
        write_result(sam, run, files, report)
    return outcome


def split_for_learning(
    photos: Sequence[AnnotatedPhoto], size: int, held_out: int | None, seed: int
) -> tuple[list[AnnotatedPhoto], list[AnnotatedPhoto]]:
    """Splits photos into those to learn from, with their masks as targets, and those held out.

    A target has the size of the logits without the padding. Masks that are too small for it are
    left out.

    Raises:
        AnnotationError: one of the two would be empty.
    """
    if held_out is None:
        held_out = min(_MOST_HELD_OUT, max(1, round(_HELD_OUT * len(photos))))
    learned, evaluated = split_photos(photos, held_out, seed)
    targets = [target for photo in learned if (target := _as_target(photo, size)).rles]
    if not targets or not evaluated:
        raise AnnotationError(
            f"Of {len(photos)} photos with masks, {len(evaluated)} are held out, so "
            f"{len(targets)} are left to learn from. At least one is needed for each: annotate "
            "more photos, or choose another --held-out."
        )
    return targets, evaluated


def _as_target(photo: AnnotatedPhoto, size: int) -> AnnotatedPhoto:
    """The photo with its masks in pixels of the logits."""
    logits_hw = logits_size(scaled_size(photo.size_hw, size))
    masks = [scaled_mask(mask, logits_hw) for mask in photo.masks()]
    rles = tuple(mask_to_coco_rle(mask) for mask in masks if mask.any())
    return replace(photo, size_hw=logits_hw, rles=rles)


def _few_masks(photos: Sequence[AnnotatedPhoto]) -> list[AnnotatedPhoto]:
    """About _SCORED_MASKS masks, equally many of each photo, for frequent evaluations."""
    most = max(1, _SCORED_MASKS // len(photos))
    # Masks are in the order of their RLEs, so the first ones are not special.
    return [replace(photo, rles=photo.rles[:most]) for photo in photos]


def _ignore(_sentence: str) -> None:
    """The report of processes other than the main one."""


def _stored(store: EmbeddingStore, device: torch.device) -> Embed:
    """Embeddings from the store, rounded to float16 as in training."""
    return lambda photo: torch.tensor(store.load(photo.digest)).to(device).float()


def _digest(photos: Sequence[AnnotatedPhoto]) -> str:
    """SHA-256 of photos and masks."""
    masks = [[photo.digest, photo.size_hw, photo.rles] for photo in photos]
    return hashlib.sha256(json.dumps(masks).encode()).hexdigest()
