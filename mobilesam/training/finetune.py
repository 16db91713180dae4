"""Fine-tuning on one's own annotations, with SAM's interactive objective.

As in arXiv 2304.02643, appendix A: a mask is prompted with a point or a box, then corrected by
points where it is wrong, with its logits as mask_input. By default only the prompt encoder and mask
decoder learn, on image embeddings that are computed once.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from segment_anything.modeling import Sam
from torch import nn

from mobilesam import __version__
from mobilesam.errors import AnnotationError, WeightsError
from mobilesam.images import scaled_size
from mobilesam.masks import mask_to_coco_rle, scaled_mask
from mobilesam.model.checkpoint import checkpoint_bytes
from mobilesam.paint import logits_size
from mobilesam.training.annotations import AnnotatedPhoto, read_annotations
from mobilesam.training.decoding import decode
from mobilesam.training.embedding_store import EmbeddingStore, embed_photos
from mobilesam.training.evaluation import Embed, Figures, embed_with, evaluate
from mobilesam.training.loop import SCORE, LoopOptions, Outcome, build_accelerator, train
from mobilesam.training.losses import iou_loss, mask_loss
from mobilesam.training.photos import epoch_order, read_photo, split_photos
from mobilesam.training.prompt_sampling import (
    jittered_box,
    random_correction,
    random_point,
    rescaled,
)
from mobilesam.training.run_files import RunFiles, RunLog, check_new
from mobilesam.training.teacher import load_teacher

_MASKS = 4  # of a photo in one batch
_CORRECTIONS = 2
_STRIDE = 4  # pixels of the model's input per side of a logit
_HELD_OUT, _MOST_HELD_OUT = 0.2, 50
_SCORED_MASKS, _SCORED_CLICKS = 200, 3


@dataclass(frozen=True)
class FinetuneOptions:
    """What to learn from.

    Attributes:
        annotations: one or more COCO files.
        photos: the folder that their file names refer to.
        out: the result, a .safetensors file.
        weights: the checkpoint to start from, of MobileSAM.
        encoder: whether the image encoder learns, too.
        size: side of the model's input in pixels; the demo's is 1024.
        batch: photos per batch.
        precision: `"no"` for float32, `"fp16"` or `"bf16"`.
        seed: of the split, the order of the photos and the prompts.
        embeddings: the folder of the embeddings; None for `embeddings` beside the result.
        held_out: photos to evaluate on; None for a fifth, at most 50.
        log: JSON lines; None for the result's name with the suffix .jsonl.
        loop: how long and how fast.
    """

    annotations: tuple[Path, ...]
    photos: Path
    out: Path
    weights: Path
    encoder: bool = False
    size: int = 1024
    batch: int = 1
    precision: str = "no"
    seed: int = 0
    embeddings: Path | None = None
    held_out: int | None = None
    log: Path | None = None
    loop: LoopOptions = field(default_factory=LoopOptions)


@dataclass(frozen=True, eq=False)
class FinetuneOutcome:
    """What fine-tuning came to.

    Attributes:
        before: figures of the held-out photos with the weights at the start.
        after: the same with the result.
        run: of the training loop.
    """

    before: Figures
    after: Figures
    run: Outcome


class MaskBatch(TypedDict):
    """B photos with masks to learn.

    Attributes:
        number: of the batch, which seeds its prompts.
        images: (B, 256, S / 16, S / 16) embeddings, or (B, 3, S, S) pixels for the encoder.
        masks: for each photo (N, h, w) bool, in pixels of the logits without the padding.
    """

    number: int
    images: torch.Tensor
    masks: list[torch.Tensor]


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
    before = measure()
    files = RunFiles(
        options.out,
        options.log or options.out.with_suffix(".jsonl"),
        _identity(options, start.digest, photos, accelerator.num_processes),
    )
    run = train(
        MaskObjective(sam, options.encoder, options.seed),
        sam,
        MaskBatches(tuple(learned), store, options.encoder, options.batch, options.seed),
        options.loop,
        files,
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
        metadata = {name: str(value) for name, value in files.identity.items()}
        files.finish(checkpoint_bytes(sam, {**metadata, "steps": str(run.steps)}))
        report(
            f"{options.out} is ready after {run.steps} steps of {run.seconds_per_step:.2g} s. Open "
            f"the demo with it: MOBILESAM_WEIGHTS={options.out} make run"
        )
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


class MaskObjective(nn.Module):
    """SAM's loss for masks that are prompted, then corrected."""

    def __init__(self, sam: Sam, encoder: bool, seed: int) -> None:
        super().__init__()
        self.sam, self.encoder, self.seed = sam, encoder, seed

    def train(self, mode: bool = True) -> "MaskObjective":
        """As usual, but BatchNorm keeps its statistics, which those of a few photos would spoil."""
        super().train(mode)
        for module in self.sam.image_encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, batch: MaskBatch) -> dict[str, torch.Tensor]:
        """Scalars: `"loss"`, and the parts of which it is the sum."""
        random = np.random.default_rng((self.seed, batch["number"], 1))
        embeddings = batch["images"]
        if self.encoder:
            embeddings = self.sam.image_encoder(self.sam.preprocess(embeddings))
        pairs = zip(embeddings, batch["masks"], strict=True)
        turns = [turn for pair in pairs for turn in self._turns(*pair, random)]
        masks, ious = (torch.cat(losses).mean() for losses in zip(*turns, strict=True))
        return {"loss": masks + ious, "mask_loss": masks, "iou_loss": ious}

    def _turns(
        self, embedding: torch.Tensor, masks: torch.Tensor, random: np.random.Generator
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The losses (N,) of N masks and of their predicted IoUs, after each prompt."""
        count, height, width = masks.shape
        targets = list(masks.cpu().numpy())
        coords = np.zeros((count, 0, 2), np.float32)
        labels = np.zeros((count, 0), np.int64)
        boxes = mask_input = None
        if random.random() < 0.5:
            drawn = np.stack([jittered_box(target, random) for target in targets])
            boxes = torch.from_numpy(rescaled(drawn, _STRIDE)).to(embedding.device)
        else:
            coords = np.stack([random_point(target, random) for target in targets])[:, None]
            labels = np.ones((count, 1), np.int64)
        for _ in range(1 + _CORRECTIONS):
            logits, ious = decode(
                self.sam,
                embedding,
                torch.from_numpy(rescaled(coords, _STRIDE)).to(embedding.device),
                torch.from_numpy(labels).to(embedding.device),
                boxes,
                mask_input,
                multimask_output=boxes is None and mask_input is None,
            )
            yield candidate_losses(logits[..., :height, :width], ious, masks)
            best = ious.argmax(1)
            chosen = logits[torch.arange(count, device=best.device), best].detach()
            mask_input = chosen[:, None]
            predicted = (chosen[:, :height, :width] > 0).cpu().numpy()
            corrections = [
                random_correction(target, mask, random)
                for target, mask in zip(targets, predicted, strict=True)
            ]
            points, point_labels = zip(*corrections, strict=True)
            coords = np.concatenate([coords, np.stack(points)[:, None]], axis=1)
            labels = np.concatenate([labels, np.array(point_labels)[:, None]], axis=1)


def candidate_losses(
    logits: torch.Tensor, ious: torch.Tensor, masks: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The mask loss (N,) of the best of C candidates, and the IoU loss (N,) of all of them.

    Args:
        logits: (N, C, h, w).
        ious: (N, C), predicted.
        masks: (N, h, w) bool.
    """
    every, targets = logits.flatten(0, 1), masks.repeat_interleave(logits.shape[1], dim=0)
    by_mask = mask_loss(every, targets).view_as(ious)
    by_iou = iou_loss(ious.flatten(), every, targets).view_as(ious)
    return by_mask.amin(1), by_iou.mean(1)


@dataclass(frozen=True)
class MaskBatches:
    """Batches of photos in a random order, each with some of its masks."""

    photos: tuple[AnnotatedPhoto, ...]
    store: EmbeddingStore
    encoder: bool
    batch: int
    seed: int

    def __getitem__(self, number: int) -> MaskBatch:
        """Batch `number`, which is always the same; pixels have other light than in the files."""
        random = np.random.default_rng((self.seed, number))
        images, masks = [], []
        for place in range(number * self.batch, (number + 1) * self.batch):
            epoch, index = divmod(place, len(self.photos))
            photo = self.photos[epoch_order(self.seed, epoch, len(self.photos))[index]]
            if self.encoder:
                images.append(read_photo(photo.path, self.store.size, random).pixels)
            else:
                images.append(torch.tensor(self.store.load(photo.digest)))
            drawn = random.permutation(len(photo.rles))[:_MASKS]
            masks.append(torch.from_numpy(np.stack(photo.masks(drawn))))
        return {"number": number, "images": torch.stack(images), "masks": masks}


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


def _identity(
    options: FinetuneOptions, digest: str, photos: Sequence[AnnotatedPhoto], processes: int
) -> dict[str, Any]:
    """What the result depends on: a run is resumed only with the same."""
    masks = [[photo.digest, photo.size_hw, photo.rles] for photo in photos]
    return {
        "weights": digest,
        "annotations": hashlib.sha256(json.dumps(masks).encode()).hexdigest(),
        "encoder": options.encoder,
        "size": options.size,
        "batch": options.batch,
        "held_out": options.held_out,
        "precision": options.precision,
        "seed": options.seed,
        "processes": processes,
        "version": __version__,
        **options.loop.identity,
    }
