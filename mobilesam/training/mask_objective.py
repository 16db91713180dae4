"""SAM's interactive objective: masks are prompted, then corrected where they are wrong.

As in arXiv 2304.02643, appendix A: the first prompt is a point or a box; each correction adds a
point, with the logits as mask_input.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from segment_anything.modeling import Sam
from torch import nn

from mobilesam.training.annotations import AnnotatedPhoto
from mobilesam.training.decoding import STRIDE, decode
from mobilesam.training.embedding_store import EmbeddingStore
from mobilesam.training.losses import iou_loss, mask_loss
from mobilesam.training.photos import photos_of_batch, read_photo
from mobilesam.training.prompt_sampling import (
    jittered_box,
    random_correction,
    random_point,
    rescaled,
)

_MASKS = 4  # of a photo in one batch
_CORRECTIONS = 2


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
        for photo in photos_of_batch(self.photos, number, self.batch, self.seed):
            if self.encoder:
                images.append(read_photo(photo.path, self.store.size, random).pixels)
            else:
                images.append(torch.tensor(self.store.load(photo.digest)))
            drawn = random.permutation(len(photo.rles))[:_MASKS]
            masks.append(torch.from_numpy(np.stack(photo.masks(drawn))))
        return {"number": number, "images": torch.stack(images), "masks": masks}


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
            boxes = torch.from_numpy(rescaled(drawn, STRIDE)).to(embedding.device)
        else:
            coords = np.stack([random_point(target, random) for target in targets])[:, None]
            labels = np.ones((count, 1), np.int64)
        for _ in range(1 + _CORRECTIONS):
            logits, ious = decode(
                self.sam,
                embedding,
                torch.from_numpy(rescaled(coords, STRIDE)).to(embedding.device),
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
