"""Measures a model on masks: IoU for each kind of prompt, and the number of clicks a user needs.

Every mask is evaluated as the demo answers: a single point has three candidates, of which the one
the demo would show first is taken; each correction adds a point and refines that mask.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from tqdm import tqdm

from mobilesam.candidates import candidate_scores
from mobilesam.images import scaled_size
from mobilesam.masks import Mask
from mobilesam.model.backend import MaskDecoder, choose_decoder
from mobilesam.predict import upscale_logits
from mobilesam.training.annotations import AnnotatedPhoto
from mobilesam.training.decoding import decode
from mobilesam.training.photos import read_photo
from mobilesam.training.prompt_sampling import (
    Coordinates,
    central_correction,
    farthest_point,
    mask_box,
    rescaled,
)

MAX_CLICKS = 20
"""The usual limit for the number of clicks (NoC), which counts for masks that never get there."""

Figures = dict[str, float]
Embed = Callable[[AnnotatedPhoto], torch.Tensor]
"""Gives the (256, S / 16, S / 16) image embedding of a photo, on the model's device."""

_CORRECTIONS = 5
_TARGETS = (0.85, 0.9)
_BATCH = 16  # prompts that are decoded at once
_LABELS = {
    "photos": "photos",
    "masks": "masks",
    "iou_point": "mean IoU, one point, default candidate",
    "iou_point_best_of_3": "mean IoU, one point, best of three",
    "iou_box": "mean IoU, box",
    **{
        f"iou_corrections_{n}": f"mean IoU, one point and {n} correction{'s' * (n > 1)}"
        for n in range(1, _CORRECTIONS + 1)
    },
    **{f"noc_{t * 100:.0f}": f"NoC@{t * 100:.0f}, clicks to IoU {t:.2f}" for t in _TARGETS},
    **{f"missed_{t * 100:.0f}": f"share not at IoU {t:.2f} after 20 clicks" for t in _TARGETS},
    "teacher_iou_point": "mean IoU with the teacher's mask, one point",
    "teacher_iou_box": "mean IoU with the teacher's mask, box",
}


@dataclass
class MaskResult:
    """The IoUs of one mask.

    Attributes:
        best_of_3: of the best candidate for one point.
        box: for the box.
        clicks: after each click; the first is the default candidate for one point. The clicks end
            at the highest target, but not before the corrections that are reported.
        teacher_iou_point: with the teacher's default candidate for the same point.
        teacher_iou_box: with the teacher's mask for the same box.
    """

    best_of_3: float
    box: float
    clicks: list[float]
    teacher_iou_point: float | None = None
    teacher_iou_box: float | None = None


@dataclass(frozen=True, eq=False)
class PhotoDecoder:
    """Decodes prompts in pixels of a photo's masks, to masks of that size.

    Attributes:
        sam: a model in eval mode.
        embedding: (256, S / 16, S / 16) of the photo.
        size_hw: (H, W) of the masks.
        mask_decoder: of the model.
        confidence_weight: of its weights, see `mobilesam.candidates`.
    """

    sam: Sam
    embedding: torch.Tensor
    size_hw: tuple[int, int]
    mask_decoder: MaskDecoder
    confidence_weight: float = 0.0

    def decode(
        self,
        points: Coordinates,
        labels: NDArray[np.int64],
        boxes: Coordinates | None = None,
        mask_input: torch.Tensor | None = None,
        multimask_output: bool = False,
    ) -> tuple[list[list[Mask]], torch.Tensor, torch.Tensor]:
        """Decodes N prompts: (N, K, 2) XY, (N, K), (N, 4) XYXY and (N, 1, S / 4, S / 4) logits.

        Returns:
            For each prompt the (H, W) masks of its C candidates; (N, C) predicted IoUs; and
            (N, C, S / 4, S / 4) logits. The default candidate comes first.
        """
        input_size = scaled_size(self.size_hw, self.sam.image_encoder.img_size)
        scale_xy = np.array(input_size[::-1]) / np.array(self.size_hw[::-1])

        def model_pixels(coordinates: Coordinates) -> torch.Tensor:
            scaled = rescaled(coordinates, scale_xy)
            return torch.from_numpy(scaled).to(self.embedding.device)

        logits, ious = decode(
            self.sam,
            self.embedding,
            model_pixels(points),
            torch.from_numpy(labels).to(self.embedding.device),
            None if boxes is None else model_pixels(boxes),
            mask_input,
            multimask_output,
            self.mask_decoder,
        )
        order = self._order(logits, ious)
        ious = ious.gather(1, order)
        logits = torch.stack([logits[n, order[n]] for n in range(len(logits))])
        masks = [
            [
                upscale_logits(candidate, input_size, self.size_hw) > self.sam.mask_threshold
                for candidate in candidates
            ]
            for candidates in logits.float().cpu().numpy()
        ]
        return masks, ious, logits

    def _order(self, logits: torch.Tensor, ious: torch.Tensor) -> torch.Tensor:
        """(N, C) indices of the candidates, the default one first."""
        scores = [
            candidate_scores(*one, self.confidence_weight)
            for one in zip(logits.float().cpu().numpy(), ious.float().cpu().numpy(), strict=True)
        ]
        ranked = torch.from_numpy(np.stack(scores)).argsort(dim=1, descending=True, stable=True)
        return ranked.to(ious.device)


def evaluate(
    sam: Sam,
    photos: Sequence[AnnotatedPhoto],
    embed: Embed,
    teacher: Sam | None = None,
    max_clicks: int = MAX_CLICKS,
    quiet: bool = False,
    confidence_weights: tuple[float, float] = (0.0, 0.0),
) -> Figures:
    """Measures a model on the masks of photos.

    Args:
        sam: the model, in eval mode.
        photos: with one mask or more.
        embed: gives the model's embeddings.
        teacher: another model with the same input size, whose masks for equal prompts are compared.
        max_clicks: with fewer than 20, the number of clicks is left out.
        quiet: no progress bar.
        confidence_weights: of the model and of the teacher, see `mobilesam.candidates`.

    Returns:
        Means over all masks, see `table`.

    Raises:
        ImageError: a photo cannot be read any more.
    """
    results: list[MaskResult] = []
    models = [(sam, embed, choose_decoder(sam), confidence_weights[0])]
    if teacher:
        models.append(
            (teacher, embed_with(teacher), choose_decoder(teacher), confidence_weights[1])
        )
    for photo in tqdm(photos, "evaluation", unit="photo", disable=quiet or None, leave=False):
        decoders = [
            PhotoDecoder(model, embedded(photo), photo.size_hw, mask_decoder, penalty)
            for model, embedded, mask_decoder, penalty in models
        ]
        for first in range(0, len(photo.rles), _BATCH):
            masks = photo.masks(range(len(photo.rles))[first : first + _BATCH])
            results += evaluate_masks(*decoders, masks=masks, max_clicks=max_clicks)
    return {"photos": float(len(photos)), **summary(results, max_clicks)}


def embed_with(sam: Sam) -> Embed:
    """Computes embeddings by a model in eval mode."""

    @torch.inference_mode()
    def embed(photo: AnnotatedPhoto) -> torch.Tensor:
        pixels = read_photo(photo.path, sam.image_encoder.img_size).pixels.to(sam.device)
        embedding: torch.Tensor = sam.image_encoder(sam.preprocess(pixels[None]))[0]
        return embedding

    return embed


@torch.inference_mode()
def evaluate_masks(
    decoder: PhotoDecoder,
    teacher: PhotoDecoder | None = None,
    *,
    masks: Sequence[Mask],
    max_clicks: int,
) -> list[MaskResult]:
    """Prompts a model for masks of one photo, each (H, W) bool and not empty."""
    points = np.stack([farthest_point(mask) for mask in masks])[:, None]
    labels = np.ones(points.shape[:2], np.int64)
    no_points = points[:, :0], labels[:, :0]
    boxes = np.stack([mask_box(mask) for mask in masks])
    candidates, _, logits = decoder.decode(points, labels, multimask_output=True)
    boxed = decoder.decode(*no_points, boxes)[0]
    results = [
        MaskResult(max(iou(one, mask) for one in three), iou(box, mask), [iou(three[0], mask)])
        for mask, three, (box,) in zip(masks, candidates, boxed, strict=True)
    ]
    if teacher:
        by_point = teacher.decode(points, labels, multimask_output=True)[0]
        by_box = teacher.decode(*no_points, boxes)[0]
        for n, result in enumerate(results):
            result.teacher_iou_point = iou(candidates[n][0], by_point[n][0])
            result.teacher_iou_box = iou(boxed[n][0], by_box[n][0])
    predicted = [three[0] for three in candidates]
    _correct(decoder, masks, results, points, predicted, logits[:, :1], max_clicks)
    return results


def _correct(
    decoder: PhotoDecoder,
    masks: Sequence[Mask],
    results: Sequence[MaskResult],
    points: Coordinates,
    predicted: list[Mask],
    logits: torch.Tensor,
    max_clicks: int,
) -> None:
    """Corrects the predictions for one point, until they are at the highest target."""
    clicked = [list(xy) for xy in points]
    labels = [[1] for _ in masks]
    active = list(range(len(masks)))
    for _ in range(max_clicks - 1):
        active = [n for n in active if not _is_done(results[n].clicks)]
        if not active:
            return
        for n in active:
            point, label = central_correction(masks[n], predicted[n], clicked[n])
            clicked[n].append(point)
            labels[n].append(label)
        refined, _, logits[active] = decoder.decode(
            np.array([clicked[n] for n in active]),
            np.array([labels[n] for n in active]),
            mask_input=logits[active],
        )
        for n, (mask,) in zip(active, refined, strict=True):
            predicted[n] = mask
            results[n].clicks.append(iou(mask, masks[n]))


def _is_done(clicks: Sequence[float]) -> bool:
    return len(clicks) > _CORRECTIONS and max(clicks) >= max(_TARGETS)


def iou(mask: Mask, other: Mask) -> float:
    """Intersection over union; 1 for two empty masks."""
    union = np.count_nonzero(mask | other)
    return np.count_nonzero(mask & other) / union if union else 1.0


def clicks_needed(clicks: Sequence[float], target: float) -> int:
    """The number of the first click that reaches an IoU; MAX_CLICKS if none does."""
    return next((n for n, value in enumerate(clicks, start=1) if value >= target), MAX_CLICKS)


def summary(results: Sequence[MaskResult], max_clicks: int = MAX_CLICKS) -> Figures:
    """Means over masks; the number of clicks only if all were allowed."""
    columns: dict[str, list[float]] = {
        "iou_point": [result.clicks[0] for result in results],
        "iou_point_best_of_3": [result.best_of_3 for result in results],
        "iou_box": [result.box for result in results],
    }
    for n in range(1, min(_CORRECTIONS + 1, max_clicks)):
        columns[f"iou_corrections_{n}"] = [result.clicks[n] for result in results]
    for target in _TARGETS if max_clicks == MAX_CLICKS else ():
        percent = f"{100 * target:.0f}"
        columns[f"noc_{percent}"] = [clicks_needed(result.clicks, target) for result in results]
        columns[f"missed_{percent}"] = [max(result.clicks) < target for result in results]
    for name in ("teacher_iou_point", "teacher_iou_box"):
        values = [getattr(result, name) for result in results]
        if None not in values:
            columns[name] = values
    return {"masks": float(len(results))} | {
        name: float(np.mean(values)) for name, values in columns.items()
    }


def table(columns: Mapping[str, Figures]) -> str:
    """Figures as lines of text, one column for each model."""
    names = [name for name in _LABELS if any(name in figures for figures in columns.values())]
    rows = [("", *columns)]
    for name in names:
        digits = 0 if name in ("photos", "masks") else 2 if name.startswith("noc") else 3
        cells = (
            f"{figures[name]:.{digits}f}" if name in figures else "-"
            for figures in columns.values()
        )
        rows.append((_LABELS[name], *cells))
    width = max(len(row[0]) for row in rows)
    return "\n".join(
        row[0].ljust(width) + "".join(f"{cell:>10}" for cell in row[1:]) for row in rows
    )
